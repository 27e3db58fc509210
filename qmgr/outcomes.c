/* SPDX-License-Identifier: MIT */
/*
 * What became of recipients, on its way to the logs that bounce keeps. A failure counts when
 * bounce says that it is durable: only then is the recipient marked in the file. When that
 * cannot be had the recipient stays as it was, and the message is deferred.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "deliver/delays.h"
#include "mail/log_address.h"
#include "qmgr/qmgr.h"

enum { BATCH_BYTES = 64 * 1024 };

/* Outcomes of one message that go to one log together. */
struct batch {
	struct buf outcomes;
	uint32_t *offsets;
	size_t count, room;
};

/* The result of one delivery at a time is worked on, so there is one set of batches. */
static struct batch batches[QUEUE_DIR_COUNT];

/* Batches under way to bounce. */
struct append {
	struct ask ask;
	struct message *message;
	enum queue_dir log;
	uint32_t *offsets;
	size_t count;
};

static const char *service_of(enum queue_dir log)
{
	return log == QUEUE_BOUNCE  ? conf->bounce_service_name
	       : log == QUEUE_DEFER ? conf->defer_service_name
				    : conf->trace_service_name;
}

static void on_appended(struct ask *ask, struct ipc_channel *channel)
{
	struct append *append = CONTAINER_OF(ask, struct append, ask);
	struct message *message = append->message;
	struct msg_status status;
	bool is_done = channel != NULL && IPC_GET(channel, status, &status) && status.code == 0;

	message->appends--;
	if (!is_done)
		log_warn("%s: %s service failure", message->id, queue_dir_name(append->log));
	if (append->log == QUEUE_BOUNCE) {
		for (size_t i = 0; is_done && i < append->count; i++)
			message_mark(message, append->offsets[i]);
		if (!is_done)
			message->must_defer = true;
	}
	free(append->offsets);
	free(append);
	message_progress(message);
}

static void send_batch(struct message *message, enum queue_dir log)
{
	struct batch *batch = &batches[log];
	struct append *append;
	struct msg_bounce_append request = { .queue_id = span_of(message->id),
					     .log = span_of(queue_dir_name(log)),
					     .outcomes = buf_span(&batch->outcomes) };

	if (batch->count == 0)
		return;
	append = NEW(struct append);
	append->message = message;
	append->log = log;
	append->offsets = batch->offsets;
	append->count = batch->count;
	message->appends++;
	message->has_log[log] = true;
	ask_send(&append->ask, service_of(log), msg_bounce_append_desc(), &request, on_appended);
	batch->offsets = NULL;
	batch->count = batch->room = 0;
	buf_reset(&batch->outcomes);
}

void outcomes_send(struct message *message)
{
	send_batch(message, QUEUE_BOUNCE);
	send_batch(message, QUEUE_DEFER);
	send_batch(message, QUEUE_TRACE);
}

void outcomes_add(struct message *message, enum queue_dir log, const struct msg_outcome *outcome)
{
	struct batch *batch = &batches[log];

	if (probe_is(message)) {
		probe_report(message, outcome);
		return;
	}
	if (batch->outcomes.limit_bytes == 0)
		buf_init(&batch->outcomes, IPC_RECORD_MAX);
	if (!msg_outcome_encode(&batch->outcomes, outcome))
		panic("%s: an outcome does not fit its limits", message->id);
	if (batch->count == batch->room) {
		batch->room = batch->room > 0 ? batch->room * 2 : 1;
		batch->offsets =
			mem_resize(batch->offsets, batch->room * sizeof(*batch->offsets));
	}
	batch->offsets[batch->count++] = outcome->offset;
	if (log == QUEUE_DEFER)
		flush_add(message, outcome->address);
	if (batch->outcomes.length >= BATCH_BYTES)
		send_batch(message, log);
}

/* The line that agents write for each recipient, for those that no agent got. */
static void log_outcome(const struct message *message, const struct rcpt *rcpt,
			const char *status, const char *word, const char *reason)
{
	struct buf line = BUF_INIT(8192), delays = BUF_INIT(200);
	int digits = conf->delay_logging_resolution_limit;
	int64_t now = clock_wall_now().us;

	(void)buf_printf(&line, "%s: to=<%s>, ", message->id, log_address(rcpt->target));
	if (rcpt->orig_address.n > 0 && !span_eq_nocase(rcpt->orig_address, rcpt->target))
		(void)buf_printf(&line, "orig_to=<%s>, ", log_address(rcpt->orig_address));
	delay_format(&delays, now - message->header.arrival.us, digits);
	(void)buf_printf(&line, "relay=none, delay=%s, delays=", buf_str(&delays));
	delay_format(&line, message->activated.us - message->header.arrival.us, digits);
	(void)buf_char(&line, '/');
	delay_format(&line, now - message->activated.us, digits);
	(void)buf_printf(&line, "/0/0, dsn=%s, status=%s (%s)", status, word, reason);
	log_info("%s", buf_str(&line));
	buf_done(&line);
	buf_done(&delays);
}

void outcomes_discard(struct portion *portion, struct rcpt *rcpt, const char *reason)
{
	struct msg_outcome outcome = { .offset = rcpt->offset,
				       .action = DSN_DELIVERABLE,
				       .address = rcpt->target,
				       .orig_address = rcpt->orig_address,
				       .status = SPAN("2.0.0"),
				       .reason = span_of(reason) };

	log_outcome(portion->message, rcpt, "2.0.0", "sent", reason);
	if (probe_is(portion->message))
		probe_report(portion->message, &outcome);
	rcpt_settle(portion, rcpt);
}

void outcomes_defer(struct portion *portion, struct rcpt *rcpt, const char *status,
		    const char *reason)
{
	struct message *message = portion->message;
	struct msg_outcome outcome = {
		.offset = rcpt->offset,
		.action = DSN_DELAYED,
		.address = rcpt->target.n > 0 ? rcpt->target : rcpt->address,
		.orig_address = rcpt->orig_address,
		.orcpt = rcpt->orcpt,
		.notify = rcpt->notify,
		.status = span_of(status),
		.reason = span_of(reason),
	};

	rcpt->is_deferred = !probe_is(message);
	log_outcome(message, rcpt, status, "deferred", reason);
	outcomes_add(message, QUEUE_DEFER, &outcome);
	rcpt_settle(portion, rcpt);
}
