/* SPDX-License-Identifier: MIT */
/*
 * One message from its first packet to its result. Runs in cleanup's workers; everything that
 * comes in is other people's, through a client program that may have been taken over.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/mime.h"
#include "mail/mime_7bit.h"
#include "mail/verp.h"
#include "queue/envelope.h"

enum { REASON_MAX = 1000, SCRATCH_KEEP_BYTES = 64 * 1024 };

void message_init(struct message *message)
{
	*message = (struct message){ .writer.fd = -1 };
	buf_init(&message->content.line, HEAD_MAX_BYTES);
	buf_init(&message->content.fixed, SIZE_MAX / 4);
	buf_init(&message->content.unconverted, SIZE_MAX / 4);
	buf_init(&message->head.header, HEAD_MAX_BYTES);
	buf_init(&message->head.out, HEAD_MAX_BYTES);
	authors_init(&message->head.authors);
	buf_init(&message->filtered, SIZE_MAX / 4);
	buf_init(&message->reason, REASON_MAX);
	lookup_init(&message->lookup, false);
}

void message_reset(struct message *message)
{
	queue_write_abort(&message->writer);
	mime_free(message->mime);
	message->mime = NULL;
	mime_7bit_free(message->seven_bit);
	message->seven_bit = NULL;
	htab_done(&message->dups, NULL);
	free(message->rcpts);
	message->rcpts = NULL;
	message->rcpt_count = message->rcpt_room = message->rcpts_given = 0;
	message->rcpt_for_trace = message->last_rcpt = (struct span){ NULL, 0 };
	content_reset(&message->content);
	head_reset(&message->head);
	lookup_reset(&message->lookup);
	arena_reset(&message->arena);
	message->options = 0;
	message->is_checked = message->is_full = false;
	message->refusal = NULL;
	message->result = SUBMIT_OK;
	message->status[0] = '\0';
	buf_shrink(&message->reason, SCRATCH_KEEP_BYTES);
}

bool message_is_good(const struct message *message)
{
	return message->result == SUBMIT_OK;
}

void message_fail(struct message *message, enum submit_result result, const char *status,
		  const char *reason)
{
	if (!message_is_good(message))
		return;
	message->result = result;
	(void)snprintf(message->status, sizeof(message->status), "%s", status);
	(void)buf_set(&message->reason, span_first(span_of(reason), REASON_MAX));
}

void message_refuse(struct message *message, enum submit_result result, const char *status,
		    const char *reason)
{
	if (!message->submitter->returns_refused) {
		message_fail(message, result, status, reason);
		return;
	}
	if (message->refusal != NULL)
		return;
	/* The transport error(8) fails each recipient with this text, and bounce(8) tells the
	 * sender. */
	message->refusal = arena_printf(&message->arena, "%s:%s %.400s", conf->error_service_name,
					status, reason);
	message->is_checked = false;
}

void message_defer(struct message *message, const char *what, int error)
{
	bool is_full = error == ENOSPC || error == EDQUOT;

	log_warn("%s: %s: %s", message->id, what, strerror(error));
	if (is_full)
		message_fail(message, SUBMIT_DEFER, "4.3.1", "Insufficient system storage");
	else
		message_fail(message, SUBMIT_DEFER, "4.3.0", "Error: queue file write error");
}

void message_table_failed(struct message *message, const char *map, struct span key)
{
	log_warn("%s: %s map lookup problem for %s -- message not accepted, try again later",
		 message->id, map, log_clean(key));
	message_fail(message, SUBMIT_DEFER, "4.3.0", "Error: queue file write error");
}

/* From here on there are two that may be ones, whatever a local user put into maildrop. */
static void take_verp_delimiters(struct msg_envelope *envelope)
{
	if ((envelope->flags & ENVELOPE_VERP) != 0 &&
	    !verp_are_delimiters(envelope->verp_delims, span_of(conf->verp_delimiter_filter)))
		envelope->verp_delims = span_of(conf->default_verp_delimiters);
}

void message_open(struct message *message, const struct msg_envelope *envelope, unsigned options)
{
	message->envelope = *envelope;
	message->options = options;
	if ((options & SUBMIT_INTERNAL) != 0)
		message->options |= SUBMIT_NO_BCC | SUBMIT_NO_MILTERS;
	if (envelope->create_us == 0 || (envelope->flags & ENVELOPE_REQUEUED) == 0)
		message->envelope.create_us = clock_wall_now().us;
	commit_open(message);
	message->envelope.sender = rewrite_sender(message, envelope->sender);
	take_verp_delimiters(&message->envelope);
	checks_start(message);
	body_start(message);
	content_start(message);
	expand_sender_bcc(message);
}

void message_add_rcpts(struct message *message, struct span rcpts)
{
	struct span rest = arena_span(&message->arena, rcpts);
	struct msg_rcpt rcpt;

	while (rest.n > 0 && message_is_good(message)) {
		if (!msg_rcpt_decode(&rest, &rcpt)) {
			message_fail(message, SUBMIT_DEFER, "4.3.0",
				     "Internal error: bad recipient record");
			return;
		}
		message->rcpts_given++;
		message->rcpt_for_trace =
			message->rcpts_given == 1 ? rcpt.address : (struct span){ NULL, 0 };
		expand_rcpt(message, &rcpt);
	}
}

void message_add_data(struct message *message, struct span bytes)
{
	if (!message_is_good(message) || message->is_full)
		return;
	content_add(message, bytes);
}

void message_end_content(struct message *message)
{
	if (message_is_good(message))
		content_end(message);
	if (message_is_good(message))
		body_end(message);
}

void message_finish(struct message *message)
{
	if (message_is_good(message))
		expand_always_bcc(message);
	if (message_is_good(message) && message->rcpt_count == 0)
		message_fail(message, SUBMIT_REJECT, "5.1.0", "no recipients specified");
	if (message_is_good(message))
		commit_finish(message);
}
