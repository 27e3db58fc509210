/* SPDX-License-Identifier: MIT */
/*
 * Forwarded mail: addresses of one delivery that do not end here become the recipients of a new
 * message, submitted to cleanup once (ipc/submit.h), so that each has a delivery status of its
 * own. The recipient counts as delivered when cleanup has the message on disk. Runs in the expander.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "deliver/prefix.h"
#include "ipc/submit.h"
#include "local/local/local.h"
#include "mail/date.h"
#include "queue/envelope.h"

enum {
	SUBMIT_LIMIT_MS = 3600 * 1000,
	RCPTS_BYTES = 120 * 1024, /* of one submit_rcpts */
	RCPTS_MAX = 64 * 1024 * 1024,
	QUEUE_ID_BYTES = 32,
};

static struct ipc_channel cleanup = { .fd = -1, .passed_fd = -1 };
static char next_id[QUEUE_ID_BYTES];

static struct forwarding *find(struct run *run, const struct target *target)
{
	struct forwarding *forwarding;

	LIST_FOR(item, &run->forwardings) {
		forwarding = CONTAINER_OF(item, struct forwarding, link);
		if (span_eq(forwarding->sender, target->sender) &&
		    forwarding->has_owner == target->has_owner)
			return forwarding;
	}
	forwarding = NEW(struct forwarding);
	forwarding->origin = target->parent != NULL ? target->parent : target;
	forwarding->sender = target->sender;
	forwarding->has_owner = target->has_owner;
	buf_init(&forwarding->rcpts, RCPTS_MAX);
	list_append(&run->forwardings, &forwarding->link);
	return forwarding;
}

/*
 * Members of a list are recipients of the list's own message (RFC 3461 5.2.7.3): nothing of what
 * the sender asked for goes on. Else the report that the address was expanded is the one about success.
 */
void forward_add(struct run *run, const struct target *target)
{
	struct forwarding *forwarding;
	struct msg_rcpt rcpt = { .address = target->address };

	if (run_has_seen(run, "forward", target->address))
		return;
	forwarding = find(run, target);
	if (!target->has_owner) {
		rcpt.orig_address = target->orig_address;
		rcpt.orcpt = run->rcpt->orcpt;
		rcpt.notify = run->rcpt->notify & ~(uint32_t)DSN_NOTIFY_SUCCESS;
		if (rcpt.notify == 0 && run->rcpt->notify != 0)
			rcpt.notify = DSN_NOTIFY_NEVER;
	}
	if (msg_rcpt_encode(&forwarding->rcpts, &rcpt))
		forwarding->count++;
	else
		run->must_repeat = true; /* too many: not one is lost in silence */
}

/* ---- the submission ---- */

static bool send_open(struct run *run, const struct forwarding *forwarding, struct clock_mono limit)
{
	struct msg_envelope envelope = run->delivery->envelope;
	struct submit_start start = {
		.envelope = &envelope,
		.options = SUBMIT_NO_HEADER_BODY_CHECKS | SUBMIT_NO_BCC | SUBMIT_NO_MILTERS |
			   SUBMIT_NO_RECEIVED | SUBMIT_INTERNAL,
		.size_hint = queue_message_size(&run->delivery->header),
	};

	envelope.sender = forwarding->sender;
	envelope.rewrite_context = SPAN("local");
	envelope.content_filter = envelope.redirect_to = (struct span){ NULL, 0 };
	envelope.verp_delims = (struct span){ NULL, 0 };
	envelope.flags &= ENVELOPE_SMTPUTF8 | ENVELOPE_REQUIRETLS;
	envelope.create_us = 0;
	envelope.dot_forward_ident = forwarding->origin->delivered;
	if (forwarding->has_owner) {
		envelope.envid = (struct span){ NULL, 0 };
		envelope.ret = 0;
	}
	return submit_open(&cleanup, &start, limit);
}

static bool send_rcpts(const struct forwarding *forwarding, struct clock_mono limit)
{
	struct span all = buf_span(&forwarding->rcpts), rest = all;
	struct msg_submit_rcpts message;
	struct msg_rcpt rcpt;

	while (all.n > 0) {
		size_t taken = 0;

		/* As many whole records as fit. */
		while (rest.n > 0 && taken < RCPTS_BYTES) {
			if (!msg_rcpt_decode(&rest, &rcpt))
				return false;
			taken = all.n - rest.n;
		}
		message.rcpts = span_first(all, taken);
		if (IPC_SEND(&cleanup, submit_rcpts, &message, -1, limit) != IPC_OK)
			return false;
		all = rest;
	}
	return true;
}

/* Received: and Delivered-To:, with CRLF. */
static void make_head(struct run *run, const struct forwarding *forwarding, const char *id,
		      struct buf *out)
{
	struct buf line = BUF_INIT(8192);
	struct span rest, one;
	char date[DATE_SIZE];

	(void)buf_printf(&line, "Received: by %s (%s)\n\tid %s; %.*s\n", conf->myhostname,
			 conf->mail_name, id, SPAN_ARG(date_rfc5322(clock_wall_now(), date)));
	if (list_has(conf->prepend_delivered_header, "forward"))
		prefix_delivered_to(&line, forwarding->origin->delivered);
	rest = buf_span(&line);
	while (span_line(&rest, &one)) {
		(void)buf_add(out, one);
		(void)buf_text(out, "\r\n");
	}
	buf_done(&line);
	(void)buf_add(out, buf_span(run->head));
	(void)buf_text(out, "\r\n");
}

static bool send_content(struct run *run, const struct forwarding *forwarding, const char *id,
			 struct clock_mono limit)
{
	struct buf head = BUF_INIT(BUF_LIMIT_DEFAULT + 65536);
	struct queue_body body;
	enum body_status status;
	struct span block;
	bool is_good;

	make_head(run, forwarding, id, &head);
	is_good = submit_bytes(&cleanup, buf_span(&head), false, limit);
	buf_done(&head);
	queue_body_start(&body, run->delivery->fd, &run->delivery->header);
	while ((status = queue_body_next(&body, &block)) == BODY_BLOCK && is_good)
		is_good = submit_bytes(&cleanup, block, false, limit);
	queue_body_done(&body);
	if (is_good && status != BODY_END)
		log_warn("%s: the body cannot be read", run->delivery->id);
	/* Only now is it known to be undamaged. */
	return is_good && status == BODY_END && submit_bytes(&cleanup, (struct span){ NULL, 0 }, true, limit);
}

/* The outcome of a submission; `id` of QUEUE_ID_BYTES bytes gets its queue id. */
static struct deliver_outcome submit(struct run *run, const struct forwarding *forwarding, char *id)
{
	struct clock_mono limit = clock_in_ms(SUBMIT_LIMIT_MS);
	struct deliver_outcome fault = deliver_deferred("4.3.0", SPAN("cannot forward: cleanup service failure"));
	struct msg_submit_done done;
	char status[DSN_STATUS_SIZE];

	if (!submit_connect(&cleanup, conf->cleanup_service_name, next_id))
		return fault;
	memcpy(id, next_id, QUEUE_ID_BYTES);
	/* cleanup may have refused and stopped reading: its answer counts, whatever failed before. */
	if (!send_open(run, forwarding, limit) || !send_rcpts(forwarding, limit) ||
	    !send_content(run, forwarding, id, limit))
		limit = clock_in_ms(0);
	if (submit_answer(&cleanup, &done, limit) != IPC_OK) {
		ipc_close(&cleanup);
		next_id[0] = '\0';
		return fault;
	}
	(void)snprintf(next_id, sizeof(next_id), "%.*s", SPAN_ARG(done.next_queue_id));
	if (done.result == SUBMIT_OK || done.result == SUBMIT_DISCARD)
		return deliver_sent((struct span){ NULL, 0 });
	(void)snprintf(status, sizeof(status), "%.*s", SPAN_ARG(done.status));
	fault = done.result == SUBMIT_DEFER ? deliver_deferred("4.3.0", done.reason)
					    : deliver_failed("5.3.0", done.reason);
	if (dsn_status_length(span_of(status)) > 0)
		(void)snprintf(fault.status, sizeof(fault.status), "%s", status);
	fault.reason = arena_span(&run->delivery->arena, done.reason);
	return fault;
}

static void submit_and_report(struct run *run, const struct forwarding *forwarding)
{
	char reason[64], id[QUEUE_ID_BYTES] = "";
	struct deliver_outcome outcome;

	if (deliver_is_probe(run->delivery)) {
		run_report_done(run, forwarding->origin, "forwards to %u other address%s",
				forwarding->count, forwarding->count == 1 ? "" : "es");
		return;
	}
	outcome = submit(run, forwarding, id);
	if (outcome.action == DSN_DELIVERED) {
		(void)snprintf(reason, sizeof(reason), "forwarded as %s", id);
		outcome.reason = span_of(reason);
		if (!forwarding->has_owner)
			outcome.action = DSN_EXPANDED;
	}
	if (outcome.action == DSN_DELAYED)
		run->must_repeat = true;
	run_report(run, forwarding->origin, &outcome);
}

/* ---- the end of a recipient ---- */

static void submit_all(struct run *run)
{
	LIST_FOR_SAFE(item, &run->forwardings) {
		struct forwarding *forwarding = CONTAINER_OF(item, struct forwarding, link);

		list_remove(item);
		submit_and_report(run, forwarding);
		buf_done(&forwarding->rcpts);
		free(forwarding);
	}
}

/*
 * Members of an alias that could not be delivered now, while others were: trying the alias again
 * would give the others a second copy, so they go into a message of their own.
 */
static void forward_postponed(struct run *run)
{
	LIST_FOR_SAFE(item, &run->postponed) {
		struct postponed *postponed = CONTAINER_OF(item, struct postponed, link);

		list_remove(item);
		log_info("%s: <%s> gets a message of its own: %s %s", run->delivery->id,
			 log_clean(postponed->target->address), postponed->outcome.status,
			 log_clean(postponed->outcome.reason));
		forward_add(run, postponed->target);
	}
	submit_all(run);
}

void run_finish(struct run *run)
{
	submit_all(run);
	if (!list_is_empty(&run->postponed) && run->is_partly_done && !run->must_repeat &&
	    !deliver_is_probe(run->delivery))
		forward_postponed(run);
	LIST_FOR(item, &run->postponed) {
		struct postponed *postponed = CONTAINER_OF(item, struct postponed, link);

		report_now(run, postponed->target, &postponed->outcome);
	}
	list_init(&run->postponed);
}
