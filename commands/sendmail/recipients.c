/* SPDX-License-Identifier: MIT */
/* Addresses from the command line and from headers; see sendmail(1). Runs as the caller. */

#include "base/buf.h"
#include "base/log.h"
#include "commands/sendmail/sendmail.h"
#include "mail/addr_list.h"
#include "mail/header.h"

enum { ADDRESS_MAX = 64 * 1024 };

void recipients_add_list(struct submission *submission, struct span list)
{
	struct buf address = BUF_INIT(ADDRESS_MAX);
	struct addr_list reader;
	struct addr_item item;

	addr_list_init(&reader, list);
	while (addr_list_next(&reader, &item)) {
		buf_reset(&address);
		if (addr_item_internal(&address, &item) && address.length > 0)
			submission_add_rcpt(submission,
					    arena_span(&submission->arena, buf_span(&address)));
	}
	buf_done(&address);
}

void recipients_add_head(struct submission *submission, struct span head)
{
	struct span rest = head;
	struct header header;
	bool is_resent = false;

	/* A message that is sent again goes to the Resent- recipients alone (RFC 5322 3.6.6). */
	while (header_next(&rest, &header))
		if ((header.info->flags & (HEADER_IS_EXTRACTED | HEADER_IS_RESENT)) ==
		    (HEADER_IS_EXTRACTED | HEADER_IS_RESENT))
			is_resent = true;
	rest = head;
	while (header_next(&rest, &header))
		if ((header.info->flags & HEADER_IS_EXTRACTED) != 0 &&
		    ((header.info->flags & HEADER_IS_RESENT) != 0) == is_resent)
			recipients_add_list(submission, header.value);
}

struct span recipients_sender(struct submission *submission, struct span text)
{
	struct buf address = BUF_INIT(ADDRESS_MAX);
	struct addr_list reader;
	struct addr_item item;
	struct span result = { NULL, 0 };
	size_t count = 0;

	addr_list_init(&reader, text);
	while (addr_list_next(&reader, &item)) {
		if (count++ == 0)
			(void)addr_item_internal(&address, &item);
	}
	if (count > 1 || (count == 0 && text.n > 0) || addr_list_is_malformed(&reader))
		log_warn("-f option specified malformed sender: %s", log_clean(text));
	result = arena_span(&submission->arena, buf_span(&address));
	buf_done(&address);
	return result;
}
