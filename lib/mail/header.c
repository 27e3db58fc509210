/* SPDX-License-Identifier: MIT */
/*
 * Message headers; see header.h. Runs in cleanup, smtp, local and bounce, on messages from
 * anywhere. RFC 5322 2.2 and 3.6, RFC 2045.
 */

#include "mail/header.h"

#include <stdlib.h>

#include "base/buf.h"

enum {
	SENDER = HEADER_HAS_SENDER,
	RECIPIENT = HEADER_HAS_RECIPIENT,
	EXTRACT = HEADER_HAS_RECIPIENT | HEADER_IS_EXTRACTED | HEADER_IS_ADDRESSEE,
	RESENT = HEADER_IS_RESENT,
	MIME = HEADER_IS_MIME,
};

static const struct header_info other = { "", HEADER_OTHER, 0 };

/* In order of lower-case names. */
static const struct header_info infos[] = {
	{ "Apparently-To", HEADER_APPARENTLY_TO, RECIPIENT },
	{ "ARC-Authentication-Results", HEADER_ARC_AUTHENTICATION_RESULTS, 0 },
	{ "Authentication-Results", HEADER_AUTHENTICATION_RESULTS, 0 },
	{ "Auto-Submitted", HEADER_AUTO_SUBMITTED, 0 },
	{ "Bcc", HEADER_BCC, EXTRACT },
	{ "Cc", HEADER_CC, EXTRACT },
	{ "Content-Description", HEADER_CONTENT_DESCRIPTION, MIME },
	{ "Content-Disposition", HEADER_CONTENT_DISPOSITION, MIME },
	{ "Content-ID", HEADER_CONTENT_ID, MIME },
	{ "Content-Length", HEADER_CONTENT_LENGTH, 0 },
	{ "Content-Transfer-Encoding", HEADER_CONTENT_TRANSFER_ENCODING, MIME },
	{ "Content-Type", HEADER_CONTENT_TYPE, MIME },
	{ "Date", HEADER_DATE, 0 },
	{ "Delivered-To", HEADER_DELIVERED_TO, 0 },
	{ "Disposition-Notification-To", HEADER_DISPOSITION_NOTIFICATION_TO, SENDER },
	{ "DKIM-Signature", HEADER_DKIM_SIGNATURE, 0 },
	{ "Errors-To", HEADER_ERRORS_TO, SENDER },
	{ "From", HEADER_FROM, SENDER },
	{ "List-ID", HEADER_LIST_ID, 0 },
	{ "List-Unsubscribe", HEADER_LIST_UNSUBSCRIBE, 0 },
	{ "Mail-Followup-To", HEADER_MAIL_FOLLOWUP_TO, SENDER },
	{ "Message-ID", HEADER_MESSAGE_ID, 0 },
	{ "MIME-Version", HEADER_MIME_VERSION, MIME },
	{ "Precedence", HEADER_PRECEDENCE, 0 },
	{ "Received", HEADER_RECEIVED, 0 },
	{ "References", HEADER_REFERENCES, 0 },
	{ "Reply-To", HEADER_REPLY_TO, SENDER },
	{ "Require-TLS-ESMTP", HEADER_REQUIRE_TLS_ESMTP, 0 },
	{ "Resent-Bcc", HEADER_RESENT_BCC, EXTRACT | RESENT },
	{ "Resent-Cc", HEADER_RESENT_CC, EXTRACT | RESENT },
	{ "Resent-Date", HEADER_RESENT_DATE, RESENT },
	{ "Resent-From", HEADER_RESENT_FROM, SENDER | RESENT },
	{ "Resent-Message-ID", HEADER_RESENT_MESSAGE_ID, RESENT },
	{ "Resent-Reply-To", HEADER_RESENT_REPLY_TO, SENDER | RESENT },
	{ "Resent-Sender", HEADER_RESENT_SENDER, SENDER | RESENT },
	{ "Resent-To", HEADER_RESENT_TO, EXTRACT | RESENT },
	{ "Return-Path", HEADER_RETURN_PATH, SENDER },
	{ "Return-Receipt-To", HEADER_RETURN_RECEIPT_TO, SENDER },
	{ "Sender", HEADER_SENDER, SENDER },
	{ "Subject", HEADER_SUBJECT, 0 },
	{ "TLS-Required", HEADER_TLS_REQUIRED, 0 },
	{ "To", HEADER_TO, EXTRACT },
	{ "X-Original-To", HEADER_X_ORIGINAL_TO, 0 },
};

static int compare_names(const void *key, const void *entry)
{
	const struct span *name = key;
	struct span known = span_of(((const struct header_info *)entry)->name);
	size_t n = name->n < known.n ? name->n : known.n;

	for (size_t i = 0; i < n; i++) {
		int order = ascii_lower(name->p[i]) - ascii_lower(known.p[i]);

		if (order != 0)
			return order;
	}
	return (name->n > known.n) - (name->n < known.n);
}

const struct header_info *header_find(struct span name)
{
	const struct header_info *info =
		bsearch(&name, infos, ARRAY_LEN(infos), sizeof(infos[0]), compare_names);

	return info != NULL ? info : &other;
}

size_t header_name_length(struct span line, size_t *ret_value_at)
{
	size_t n = 0, colon;

	while (n < line.n && line.p[n] > 0x20 && line.p[n] < 0x7f && line.p[n] != ':')
		n++;
	colon = n;
	while (colon < line.n && (line.p[colon] == ' ' || line.p[colon] == '\t'))
		colon++;
	if (n == 0 || colon == line.n || line.p[colon] != ':')
		return 0;
	if (ret_value_at != NULL)
		*ret_value_at = colon + 1;
	return n;
}

bool header_is_continuation(struct span line)
{
	return line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
}

bool header_is_mailbox_line(struct span line)
{
	return span_starts(line, SPAN("From ")) || span_starts(line, SPAN(">From "));
}

bool header_next(struct span *rest, struct header *ret_header)
{
	struct span after = *rest, line, next;
	size_t value_at, name_length;

	if (!span_line(&after, &line))
		return false;
	name_length = header_name_length(line, &value_at);
	if (name_length == 0)
		return false;
	for (next = after; span_line(&next, &line) && header_is_continuation(line);)
		after = next;
	ret_header->raw = span_first(*rest, (size_t)(after.p - rest->p));
	ret_header->name = span_first(*rest, name_length);
	ret_header->value = span_from(ret_header->raw, value_at);
	if (span_ends(ret_header->value, SPAN("\n")))
		ret_header->value.n--;
	if (span_ends(ret_header->value, SPAN("\r")))
		ret_header->value.n--;
	ret_header->info = header_find(ret_header->name);
	*rest = after;
	return true;
}

bool header_unfold(struct buf *out, struct span value)
{
	value = span_trim(value);
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] != '\r' && value.p[i] != '\n')
			buf_char(out, value.p[i]);
	return !buf_is_over(out);
}

size_t header_count(struct span head, enum header_id id)
{
	struct header header;
	size_t count = 0;

	while (header_next(&head, &header))
		count += header.info->id == id;
	return count;
}

bool header_has_delivered_to(struct span head, struct span address)
{
	struct header header;

	while (header_next(&head, &header))
		if (header.info->id == HEADER_DELIVERED_TO &&
		    span_eq_nocase(span_trim(header.value), address))
			return true;
	return false;
}
