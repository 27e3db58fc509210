/* SPDX-License-Identifier: MIT */
/*
 * Results of deliveries, from the socket that master keeps open. They say what became of each
 * recipient; only recipients that were part of the delivery with that token count. Results of
 * deliveries that an earlier qmgr had started are applied to the file at once.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "proc/service.h"
#include "qmgr/qmgr.h"
#include "queue/envelope.h"
#include "queue/outcomes.h"

static struct ipc_channel results = { .fd = -1, .passed_fd = -1 };
static struct event_fd results_watch;

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
	if (log_of(outcome, &log)) {
		outcomes_add(message, log, outcome);
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
	if (entry->connection != NULL)
		connection_release(entry->connection);
	entry->connection = NULL;
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

static void on_late_result(const char *id, const struct msg_deliver_result *result)
{
	struct queue_file file;
	enum queue_dir dir;
	int fd;

	if (!deliver_token_is_good(id, result->token)) {
		log_warn("%s: result with a token that is not ours: ignored", id);
		return;
	}
	fd = queue_open_message(&queue_dirs, id, O_RDWR, &dir);
	if (fd < 0 || queue_read_open(&file, fd) != QUEUE_GOOD) {
		log_warn("%s: late result: %s", id, strerror(errno));
		return;
	}
	if (!names_rcpts(&file, result->outcomes) ||
	    !apply_late(file.fd, id, result->outcomes))
		log_warn("%s: late result cannot be applied: %s", id, strerror(errno));
	queue_read_close(&file);
	if (result->is_final)
		scan_incoming_later();
}

/* ---- the socket ---- */

static struct entry *find_entry(const struct message *message, uint64_t token)
{
	LIST_FOR(item, &message->busy_entries) {
		struct entry *entry = CONTAINER_OF(item, struct entry, busy_link);

		if (entry->token == token)
			return entry;
	}
	return NULL;
}

static void on_result(const struct msg_deliver_result *result)
{
	struct message *message = htab_get(&messages, result->queue_id);
	struct entry *entry = message != NULL ? find_entry(message, result->token) : NULL;
	char id[QUEUE_ID_MAX];

	if (result->queue_id.n >= QUEUE_ID_MAX || !queue_id_is_valid(result->queue_id)) {
		log_warn("result without a queue id: ignored");
		return;
	}
	(void)snprintf(id, sizeof(id), "%.*s", SPAN_ARG(result->queue_id));
	if (entry == NULL) {
		on_late_result(id, result);
		return;
	}
	take_outcomes(entry, result->outcomes);
	if (result->hop_status.n > 0 && entry->hop_reason == NULL) {
		(void)snprintf(entry->hop_status, sizeof(entry->hop_status), "%.*s",
			       SPAN_ARG(result->hop_status));
		entry->hop_reason = mem_dup(result->hop_reason);
	}
	if (result->is_final)
		end_delivery(entry);
	else
		outcomes_send(message);
}

void results_drain(void)
{
	struct msg_deliver_result result;
	enum ipc_status status;

	while ((status = ipc_recv(&results, clock_in_ms(0))) == IPC_OK) {
		if (IPC_GET(&results, deliver_result, &result))
			on_result(&result);
		else
			log_warn("malformed message on the results socket");
	}
	if (status != IPC_TIMEOUT)
		fatal("the results socket is closed: %s", strerror(errno));
}

static void on_readable(struct event_fd *watch, unsigned events)
{
	(void)watch;
	(void)events;
	results_drain();
}

void results_start(void)
{
	if (service.results_fd < 0)
		fatal("master gave no results socket");
	ipc_attach(&results, service.results_fd);
	results_drain();
	event_watch(&results_watch, results.fd, EPOLLIN, on_readable);
}
