/* SPDX-License-Identifier: MIT */
/*
 * Who a message says it is from, for smtpd, which knows who has logged in and what is theirs
 * (smtpd_header_from_login_check). Runs in cleanup's workers, on the headers of strangers; the addresses
 * that go over are those of the header that is written, before any rewriting of ours.
 */

#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/authors.h"

enum { ADDRESSES_MAX = 64 * 1024, KEEP_BYTES = 4096 };

void authors_init(struct authors *authors)
{
	*authors = (struct authors){ .from_count = 0 };
	buf_init(&authors->from, ADDRESSES_MAX);
	buf_init(&authors->sender, ADDRESSES_MAX);
	buf_init(&authors->held, HEAD_MAX_BYTES);
}

void authors_reset(struct authors *authors)
{
	buf_shrink(&authors->from, KEEP_BYTES);
	buf_shrink(&authors->sender, KEEP_BYTES);
	buf_shrink(&authors->held, KEEP_BYTES);
	authors->from_count = authors->sender_count = 0;
	authors->is_from_odd = authors->is_sender_odd = false;
}

static bool is_asked(const struct message *message)
{
	return (message->options & SUBMIT_ASK_AUTHORS) != 0;
}

void authors_note(struct message *message, const struct header *header)
{
	struct authors *authors = &message->head.authors;
	/* What header_size_limit cut off might have been another address. */
	bool is_cut = message->head.is_cut;

	if (!is_asked(message))
		return;
	if (header->info->id == HEADER_FROM) {
		authors->from_count++;
		if (is_cut || !authors_read(&authors->from, header->value))
			authors->is_from_odd = true;
	} else if (header->info->id == HEADER_SENDER) {
		authors->sender_count++;
		if (is_cut || !authors_read(&authors->sender, header->value))
			authors->is_sender_odd = true;
	}
}

void authors_note_added(struct message *message)
{
	struct authors *authors = &message->head.authors;

	if (!is_asked(message))
		return;
	authors->from_count++;
	if (message->envelope.sender.n == 0 || span_has(message->envelope.sender, '\n') ||
	    !buf_add(&authors->from, message->envelope.sender) || !buf_char(&authors->from, '\n'))
		authors->is_from_odd = true;
}

void authors_hold(struct message *message, size_t before)
{
	struct buf *out = &message->head.out;

	if (!is_asked(message) || out->length <= before)
		return;
	(void)buf_add(&message->head.authors.held, span_from(buf_span(out), before));
	buf_truncate(out, before);
}

static bool ask(struct authors *authors, struct ipc_channel *channel,
		struct msg_submit_consent *ret_consent)
{
	struct clock_mono deadline = clock_in_ms((int64_t)conf->ipc_timeout * 1000);
	bool is_understood = authors->from_count == 1 && !authors->is_from_odd;
	bool is_sender_read = authors->sender_count == 1 && !authors->is_sender_odd;
	struct msg_submit_authors question = {
		.is_understood = is_understood,
		.authors = is_understood ? buf_span(&authors->from) : SPAN(""),
		.has_sender = authors->sender_count > 0,
		.senders = is_sender_read ? buf_span(&authors->sender) : SPAN(""),
	};

	return IPC_SEND(channel, submit_authors, &question, -1, deadline) == IPC_OK &&
	       ipc_recv(channel, CLOCK_NEVER) == IPC_OK &&
	       IPC_GET(channel, submit_consent, ret_consent);
}

bool authors_settle(struct message *message, struct ipc_channel *channel)
{
	struct authors *authors = &message->head.authors;
	struct buf *out = &message->head.out;
	struct msg_submit_consent consent;
	bool fits = true;

	if (!is_asked(message) || !message_is_good(message))
		return true;
	if (!ask(authors, channel, &consent))
		return false;
	if (!consent.drops_sender)
		fits = buf_add(out, buf_span(&authors->held));
	if (consent.sender.n > 0)
		fits = fits && buf_text(out, "Sender: ") && addr_quote(out, consent.sender) &&
		       buf_text(out, "\r\n");
	if (!fits)
		message_fail(message, SUBMIT_TOO_BIG, "5.3.4", "message header section too big");
	return true;
}
