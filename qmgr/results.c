/* SPDX-License-Identifier: MIT */
/*
 * Results of deliveries: what became of each recipient. Only recipients that were part of the
 * delivery with that token count. Results of deliveries that an earlier qmgr had started come
 * from agents that found it gone; they are applied to the file at once.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "proc/service.h"
#include "qmgr/qmgr.h"
#include "queue/envelope.h"
#include "queue/outcomes.h"

/* Which log an outcome goes to, if any; a success report is wanted by NOTIFY=SUCCESS. */
static bool log_of(const struct msg_outcome *outcome, enum queue_dir *ret_log)
{
	switch ((enum dsn_action)outcome->action) {
	case DSN_DELIVERED:
	case DSN_RELAYED:
	case DSN_EXPANDED:
		*ret_log = QUEUE_TRACE;
		return (outcome->notify & DSN_NOTIFY_SUCCESS) != 0;
	case DSN_DELAYED:
		*ret_log = QUEUE_DEFER;
		return true;
	case DSN_FAILED:
		*ret_log = QUEUE_BOUNCE;
		return true;
	case DSN_DELIVERABLE:
	case DSN_UNDELIVERABLE:
		*ret_log = QUEUE_TRACE;
		return true;
	}
	return false;
}

/* A sender that was warned of the delay hears when it is over (confirm_delay_cleared). */
static bool ends_delay(const struct message *message, const struct msg_outcome *outcome)
{
	return conf->confirm_delay_cleared && message->notes.warning_sent &&
	       outcome->action <= DSN_EXPANDED && dsn_wants(outcome->notify, DSN_DELAYED);
}

/* ---- deliveries of this process ---- */

static int compare_offset(const void *key, const void *element)
{
	uint32_t offset = *(const uint32_t *)key;
	const struct rcpt *rcpt = *(struct rcpt *const *)element;

	return offset < rcpt->offset ? -1 : offset > rcpt->offset;
}

static void take_outcome(struct entry *entry, const struct msg_outcome *outcome)
{
	struct message *message = entry->job->message;
	struct rcpt **found = bsearch(&outcome->offset, entry->rcpts, entry->count,
				      sizeof(*entry->rcpts), compare_offset);
	struct msg_outcome copy = *outcome;
	enum queue_dir log;

	if (found == NULL || outcome->action > DSN_UNDELIVERABLE) {
		log_warn("%s: result for a recipient that was not asked for", message->id);
		return;
	}
	(*found)->has_outcome = true;
	if (outcome->action == DSN_DELAYED)
		(*found)->is_deferred = !probe_is(message);
	else if (outcome->action == DSN_FAILED)
		(*found)->is_bouncing = !probe_is(message);
	if (ends_delay(message, outcome))
		copy.notify |= DSN_NOTIFY_SUCCESS;
	if (log_of(&copy, &log)) {
		outcomes_add(message, log, &copy);
		if (log == QUEUE_TRACE)
			return;
	}
	if ((message->envelope.flags & ENVELOPE_VERBOSE) != 0)
		outcomes_add(message, QUEUE_TRACE, outcome);
}

static void take_outcomes(struct entry *entry, struct span outcomes)
{
	struct msg_outcome outcome;

	while (outcomes.n > 0) {
		if (!msg_outcome_decode(&outcomes, &outcome)) {
			log_warn("%s: malformed result", entry->job->message->id);
			return;
		}
		take_outcome(entry, &outcome);
	}
}

/* All results of a delivery are there. */
static void end_delivery(struct entry *entry)
{
	struct message *message = entry->job->message;
	struct destination *destination = entry->destination;

	for (size_t i = 0; i < entry->count; i++) {
		struct rcpt *rcpt = entry->rcpts[i];

		if (rcpt->has_outcome)
			rcpt_settle(entry->portion, rcpt);
		else
			outcomes_defer(entry->portion, rcpt, "4.3.0",
				       "unknown mail transport error");
	}
	if (entry->hop_reason != NULL)
		destination_on_trouble(destination, entry->hop_status, entry->hop_reason);
	else
		destination_on_success(destination);
	free(entry->hop_reason);
	entry->hop_reason = NULL;
	schedule_end(entry);
	outcomes_send(message);
	if (!finish_is_simple(message))
		message_write_marks(message);
	message_progress(message);
}

void results_on_crash(struct entry *entry)
{
	struct transport *transport = entry->job->transport;

	log_warn("transport %s failure -- see an earlier warning, fatal or panic line of its "
		 "agents for the reason",
		 log_clean_str(transport->name));
	free(entry->hop_reason);
	entry->hop_reason = NULL;
	end_delivery(entry);
	transport_set_dead(transport, "4.3.0", "unknown mail transport error");
}

/* ---- deliveries of an earlier qmgr ---- */

/* Writes the logs here and now: it is rare, and the agent's lock may be gone in a moment. */
static bool apply_late(int fd, const char *id, struct span outcomes)
{
	struct msg_outcome outcome;
	enum queue_dir log;
	bool is_good = true;

	while (outcomes.n > 0 && is_good) {
		struct span record = outcomes;

		if (!msg_outcome_decode(&outcomes, &outcome) ||
		    outcome.action > DSN_UNDELIVERABLE)
			return false;
		record.n -= outcomes.n;
		if (log_of(&outcome, &log))
			is_good = queue_outcomes_append(&queue_dirs, log, id, record,
							log == QUEUE_BOUNCE);
		if (is_good && outcome.action != DSN_DELAYED)
			is_good = queue_mark_rcpt(fd, outcome.offset);
	}
	return is_good && queue_flush(fd);
}

/* Whether every outcome names a status byte of this file, which is all we would change. */
static bool names_rcpts(const struct queue_file *file, struct span outcomes)
{
	struct msg_outcome outcome;

	while (outcomes.n > 0) {
		struct msg_rcpt rcpt;
		enum rcpt_status status;
		size_t at = 0;
		bool is_there = false;

		if (!msg_outcome_decode(&outcomes, &outcome))
			return false;
		while (!is_there && queue_read_rcpt(file, &at, &status, &rcpt))
			is_there = rcpt.offset == outcome.offset;
		if (!is_there)
			return false;
	}
	return true;
}

bool results_take_late(const struct msg_deliver_result *result)
{
	char id[QUEUE_ID_MAX];
	struct queue_file file;
	enum queue_dir dir;
	bool is_done;
	int fd;

	if (!queue_id_is_valid(result->queue_id)) {
		log_warn("result without a queue id: ignored");
		return false;
	}
	(void)snprintf(id, sizeof(id), "%.*s", SPAN_ARG(result->queue_id));
	if (!deliver_token_is_good(id, result->token)) {
		log_warn("%s: result with a token that is not ours: ignored", id);
		return false;
	}
	fd = queue_open_message(&queue_dirs, id, O_RDWR, &dir);
	/* Said twice: the qmgr that took it went before it could say so. */
	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd < 0 || queue_read_open(&file, fd) != QUEUE_GOOD) {
		log_warn("%s: late result: %s", id, strerror(errno));
		return false;
	}
	is_done = names_rcpts(&file, result->outcomes) && apply_late(file.fd, id, result->outcomes);
	if (!is_done)
		log_warn("%s: late result cannot be applied: %s", id, strerror(errno));
	queue_read_close(&file);
	if (result->is_final)
		scan_incoming_later();
	return is_done;
}

/* ---- from an agent ---- */

void results_take(struct connection *connection, const struct msg_deliver_result *result)
{
	struct msg_deliver_taken taken = { .token = result->token };
	struct entry *entry = connection->entry;

	if (entry == NULL || entry->token != result->token ||
	    !span_is(result->queue_id, entry->job->message->id)) {
		log_warn("transport %s: result of a delivery that was not asked for",
			 connection->transport->name);
		return;
	}
	take_outcomes(entry, result->outcomes);
	if (result->hop_status.n > 0 && entry->hop_reason == NULL) {
		(void)snprintf(entry->hop_status, sizeof(entry->hop_status), "%.*s",
			       SPAN_ARG(result->hop_status));
		entry->hop_reason = mem_dup(result->hop_reason);
	}
	if (!result->is_final)
		return;
	entry->connection = NULL;
	connection->entry = NULL;
	end_delivery(entry);
	/* Not before: until then the agent is the one that knows. */
	if (IPC_SEND(&connection->channel, deliver_taken, &taken, -1, clock_in_ms(0)) == IPC_OK)
		connection_release(connection);
	else
		/* An agent that lives sees the end, and says its result once more. */
		connection_close(connection);
}
