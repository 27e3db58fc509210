/* SPDX-License-Identifier: MIT */
/*
 * The agents' side of a delivery; see delivery.h and ipc/deliver.h. Runs in every delivery agent,
 * with the agent's own rights. qmgr is trusted with what it asks; what a result says of the
 * far side is remote text and is cleaned for the log.
 */

#include "deliver/delivery.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "deliver/delays.h"
#include "ipc/channel.h"
#include "mail/log_address.h"
#include "proc/service.h"
#include "table/maps.h"

enum {
	REQUEST_LIMIT_MS = 1000,  /* a packet is there at once */
	TAKEN_LIMIT_MS = 600 * 1000, /* a caller that lives takes a result long before */
	NEXT_QMGR_MS = 60 * 1000, /* how long a result waits for a new qmgr */
	NEXT_QMGR_PAUSE_MS = 50,
	PACKET_MAX = 122880,      /* outcomes in one deliver_result */
	OUTCOME_MAX = 16 * 1024,  /* one encoded outcome is shorter */
	OUTCOMES_MAX = 64 * 1024 * 1024, /* of one delivery */
	REASON_MAX = 4096,
	HOP_REASON_MAX = 2048,
};

static struct maps *status_filter;

void deliver_prepare(const char *title, const char *tables)
{
	struct buf error = BUF_INIT(1024);

	status_filter = maps_open(title, span_of(tables), TABLE_IN_JAIL, &error);
	if (status_filter == NULL)
		fatal("%s", buf_str(&error));
	buf_done(&error);
}

/* ---- outcomes ---- */

struct deliver_outcome deliver_by_status(const char *status, struct span reason)
{
	struct deliver_outcome outcome = { .action = status[0] == '2'   ? DSN_DELIVERED
						     : status[0] == '5' ? DSN_FAILED
									: DSN_DELAYED,
					   .reason = reason };

	(void)snprintf(outcome.status, sizeof(outcome.status), "%s", status);
	return outcome;
}

struct deliver_outcome deliver_sent(struct span reason)
{
	return deliver_by_status("2.0.0", reason);
}

struct deliver_outcome deliver_deferred(const char *status, struct span reason)
{
	struct deliver_outcome outcome = deliver_by_status(status, reason);

	outcome.action = DSN_DELAYED;
	return outcome;
}

struct deliver_outcome deliver_failed(const char *status, struct span reason)
{
	struct deliver_outcome outcome = deliver_by_status(status, reason);

	outcome.action = DSN_FAILED;
	return outcome;
}

bool deliver_is_probe(const struct delivery *delivery)
{
	return (delivery->request.flags & DELIVER_VERIFY) != 0;
}

static bool is_success(enum dsn_action action)
{
	return action == DSN_DELIVERED || action == DSN_RELAYED || action == DSN_EXPANDED;
}

/*
 * X_delivery_status_filter: the table is asked for "STATUS REASON" and may answer with the like.
 * `text` keeps the answer. A success stays one, and so does a failure, of whichever kind.
 */
static void filter_status(struct deliver_outcome *outcome, struct buf *text)
{
	char status[DSN_STATUS_SIZE];
	struct span value, reason;
	enum table_status found;

	if (status_filter == NULL || maps_is_empty(status_filter))
		return;
	(void)buf_printf(text, "%s %.*s", outcome->status, SPAN_ARG(outcome->reason));
	found = maps_find(status_filter, NULL, buf_span(text), false, &value);
	if (found == TABLE_ERROR)
		log_warn("%s: %s", maps_title(status_filter),
			 maps_error(status_filter));
	if (found != TABLE_FOUND)
		return;
	dsn_split(value, "", status, &reason);
	if (status[0] == '\0' || reason.n == 0 ||
	    (status[0] == '2') != (outcome->status[0] == '2')) {
		log_warn("%s: bad status replacement: \"%s\" for \"%s\"",
			 maps_title(status_filter), log_clean(value),
			 log_clean(buf_span(text)));
		return;
	}
	buf_reset(text);
	(void)buf_add(text, reason);
	outcome->reason = buf_span(text);
	if (status[0] != '2')
		outcome->action = status[0] == '5' ? DSN_FAILED : DSN_DELAYED;
	(void)snprintf(outcome->status, sizeof(outcome->status), "%s", status);
	outcome->diagnostic = outcome->diagnostic_type = (struct span){ NULL, 0 };
}

/* The word behind status=, after the outcome was made what a probe or soft_bounce asks for. */
static const char *settle(const struct delivery *delivery, struct deliver_outcome *outcome)
{
	if (deliver_is_probe(delivery)) {
		bool is_good = is_success(outcome->action);

		outcome->action = is_good ? DSN_DELIVERABLE : DSN_UNDELIVERABLE;
		return is_good ? "deliverable" : "undeliverable";
	}
	if (outcome->action == DSN_FAILED && conf->soft_bounce) {
		dsn_soften(outcome->status);
		outcome->action = DSN_DELAYED;
		return "SOFTBOUNCE";
	}
	if (outcome->action == DSN_FAILED)
		return "bounced";
	return is_success(outcome->action) ? "sent" : "deferred";
}

static void add_delays(struct buf *line, const struct delivery *delivery)
{
	int digits = conf->delay_logging_resolution_limit;
	int64_t now = clock_wall_now().us;
	int64_t arrival = delivery->request.arrival_us, active = delivery->request.active_us;
	int64_t connected = delivery->connected.us;
	int64_t transfer = connected != 0 ? connected : delivery->handoff.us;

	(void)buf_text(line, ", delay=");
	delay_format(line, now - arrival, digits);
	(void)buf_text(line, ", delays=");
	delay_format(line, active - arrival, digits);
	(void)buf_char(line, '/');
	delay_format(line, delivery->handoff.us - active, digits);
	(void)buf_char(line, '/');
	delay_format(line, transfer - delivery->handoff.us, digits);
	(void)buf_char(line, '/');
	delay_format(line, now - transfer, digits);
}

static void log_outcome(const struct delivery *delivery, const struct msg_rcpt *rcpt,
			const struct deliver_outcome *outcome, const char *word)
{
	struct buf line = BUF_INIT(LOG_LINE_MAX * 2);

	(void)buf_printf(&line, "%s: to=<%s>", delivery->id, log_address(rcpt->address));
	if (rcpt->orig_address.n > 0 && !span_eq_nocase(rcpt->address, rcpt->orig_address))
		(void)buf_printf(&line, ", orig_to=<%s>", log_address(rcpt->orig_address));
	(void)buf_printf(&line, ", relay=%s",
			 outcome->relay.n > 0 ? log_clean(outcome->relay) : delivery->agent->relay);
	if (outcome->connection_uses > 1)
		(void)buf_printf(&line, ", conn_use=%u", outcome->connection_uses);
	add_delays(&line, delivery);
	if (outcome->tls.n > 0)
		(void)buf_printf(&line, ", tls=%s", log_clean(outcome->tls));
	(void)buf_printf(&line, ", dsn=%s, status=%s (%s)", outcome->status, word,
			 log_clean(outcome->reason));
	log_info("%s", buf_str(&line));
	buf_done(&line);
}

/* ---- to qmgr ---- */

/* As many whole outcomes as one packet holds, taken off `rest`. */
static struct span next_packet(struct span *rest)
{
	struct span packet = { rest->p, 0 };
	struct msg_outcome outcome;

	if (rest->n <= PACKET_MAX)
		packet.n = rest->n;
	while (packet.n < rest->n && packet.n <= PACKET_MAX - OUTCOME_MAX) {
		struct span left = { rest->p + packet.n, rest->n - packet.n };

		if (!msg_outcome_decode(&left, &outcome))
			panic("an outcome cannot be read back");
		packet.n = rest->n - left.n;
	}
	*rest = (struct span){ rest->p + packet.n, rest->n - packet.n };
	return packet;
}

/* All outcomes to who is at the other end; true when they are taken care of there. */
static bool send_result(const struct delivery *delivery, struct ipc_channel *to,
			struct clock_mono deadline)
{
	struct span rest = buf_span(&delivery->outcomes);
	struct msg_deliver_taken taken;

	do {
		struct msg_deliver_result result = {
			.token = delivery->request.token,
			.queue_id = span_of(delivery->id),
			.hop_status = span_of(delivery->hop_status),
			.hop_reason = buf_span(&delivery->hop_reason),
		};

		result.outcomes = next_packet(&rest);
		result.is_final = rest.n == 0;
		if (IPC_SEND(to, deliver_result, &result, -1, deadline) != IPC_OK)
			return false;
	} while (rest.n > 0);
	return IPC_EXPECT(to, deliver_taken, &taken, deadline) == IPC_OK &&
	       taken.token == delivery->request.token;
}

/* The qmgr that asked has gone: without the result the next one would deliver again. */
static void report_to_next(const struct delivery *delivery)
{
	struct clock_mono deadline = clock_in_ms(NEXT_QMGR_MS);
	bool is_taken = false;

	while (!is_taken && !clock_is_past(deadline)) {
		struct ipc_channel qmgr;
		int fd = service_connect(conf->queue_service_name, deadline);

		if (fd >= 0) {
			ipc_attach(&qmgr, fd);
			is_taken = send_result(delivery, &qmgr, deadline);
			ipc_close(&qmgr);
		}
		if (!is_taken)
			(void)poll(NULL, 0, NEXT_QMGR_PAUSE_MS);
	}
	if (!is_taken)
		log_warn("%s: no queue manager takes the result: it may be delivered again",
			 delivery->id);
}

static void report_result(const struct delivery *delivery)
{
	if (send_result(delivery, delivery->caller, clock_in_ms(TAKEN_LIMIT_MS)))
		return;
	/* First: a caller that lives after all waits no longer. */
	ipc_close(delivery->caller);
	if (delivery->is_of_qmgr)
		report_to_next(delivery);
}

void deliver_report(struct delivery *delivery, const struct msg_rcpt *rcpt,
		    const struct deliver_outcome *given)
{
	struct deliver_outcome outcome = *given;
	struct buf text = BUF_INIT(REASON_MAX * 2);
	const char *word;

	outcome.reason = span_first(outcome.reason, REASON_MAX);
	filter_status(&outcome, &text);
	word = settle(delivery, &outcome);
	log_outcome(delivery, rcpt, &outcome, word);

	struct msg_outcome message = {
		.offset = rcpt->offset,
		.action = outcome.action,
		.address = rcpt->address,
		.orig_address = rcpt->orig_address,
		.orcpt = rcpt->orcpt,
		.notify = rcpt->notify,
		.status = span_of(outcome.status),
		.reason = span_first(outcome.reason, REASON_MAX),
		.remote_mta = span_first(outcome.remote_mta, 512),
		.diagnostic_type = outcome.diagnostic_type,
		.diagnostic = span_first(outcome.diagnostic, REASON_MAX),
		.size = queue_message_size(&delivery->header),
		.relay = span_first(outcome.relay.n > 0 ? outcome.relay
							: span_of(delivery->agent->relay),
				    512),
		.owner = span_first(outcome.owner, 1024),
	};

	if (!msg_outcome_encode(&delivery->outcomes, &message))
		panic("%s: an outcome does not fit its limits", delivery->id);
	buf_done(&text);
}

void deliver_report_all(struct delivery *delivery, const struct deliver_outcome *outcome)
{
	for (size_t i = 0; i < delivery->rcpt_count; i++)
		deliver_report(delivery, &delivery->rcpts[i], outcome);
}

bool deliver_read_head(struct delivery *delivery, struct buf *head)
{
	struct deliver_outcome outcome;

	if (queue_read_head(delivery->fd, &delivery->header, head))
		return true;
	log_warn("%s: cannot read the head: %s", delivery->id, strerror(errno));
	outcome = deliver_deferred("4.3.0", SPAN("queue file read error"));
	deliver_report_all(delivery, &outcome);
	return false;
}

void deliver_hop_trouble(struct delivery *delivery, const char *status, struct span reason)
{
	(void)snprintf(delivery->hop_status, sizeof(delivery->hop_status), "%s", status);
	(void)buf_set(&delivery->hop_reason, span_first(reason, HOP_REASON_MAX));
}

/* ---- to another agent ---- */

enum { PASS_CONNECT_MS = 30 * 1000, PASS_RESULT_MS = 3600 * 1000 };

/* Takes over the outcomes of another agent's result; *ret_action the worst of them. */
static bool adopt(struct delivery *delivery, struct span outcomes, enum dsn_action *ret_action)
{
	struct span rest = outcomes;
	struct msg_outcome outcome;

	while (rest.n > 0) {
		if (!msg_outcome_decode(&rest, &outcome))
			return false;
		*ret_action = (enum dsn_action)outcome.action;
		if (!msg_outcome_encode(&delivery->outcomes, &outcome))
			return false;
	}
	return true;
}

/* Sends the request and waits for the final result; false: none came. */
static bool pass_on(struct delivery *delivery, struct ipc_channel *channel,
		    const struct msg_deliver_request *request, enum dsn_action *ret_action)
{
	struct msg_deliver_result result = { .is_final = false };
	struct msg_deliver_taken taken;
	bool has_outcome = false;

	if (IPC_SEND(channel, deliver_request, request, delivery->fd, clock_in_ms(PASS_CONNECT_MS)) !=
	    IPC_OK)
		return false;
	while (!result.is_final) {
		if (IPC_EXPECT(channel, deliver_result, &result, clock_in_ms(PASS_RESULT_MS)) != IPC_OK)
			return has_outcome;
		has_outcome = has_outcome || result.outcomes.n > 0;
		if (!adopt(delivery, result.outcomes, ret_action))
			return has_outcome;
	}
	taken.token = result.token;
	/* Ours now: what it makes of this message is its own matter. */
	(void)!IPC_SEND(channel, deliver_taken, &taken, -1, clock_in_ms(PASS_CONNECT_MS));
	return has_outcome;
}

enum dsn_action deliver_pass(struct delivery *delivery, const struct msg_rcpt *rcpt,
			     const char *transport, struct span nexthop, struct span sender)
{
	struct msg_deliver_request request = delivery->request;
	struct buf packed = BUF_INIT(IPC_RECORD_MAX);
	struct ipc_channel channel;
	enum dsn_action action = DSN_DELAYED;
	int fd = service_connect(transport, clock_in_ms(PASS_CONNECT_MS));
	bool is_done = false;

	ipc_attach(&channel, fd);
	request.token = 0;
	request.nexthop = nexthop;
	request.nexthop_seal = 0;
	request.sender = sender;
	if (fd >= 0 && msg_rcpt_encode(&packed, rcpt)) {
		request.rcpts = buf_span(&packed);
		is_done = pass_on(delivery, &channel, &request, &action);
	}
	ipc_close(&channel);
	buf_done(&packed);
	if (!is_done) {
		struct deliver_outcome outcome =
			deliver_deferred("4.3.0", SPAN("mail transport unavailable"));

		log_warn("%s: transport %s gave no result", delivery->id, transport);
		deliver_report(delivery, rcpt, &outcome);
	}
	return action;
}

/* ---- from qmgr ---- */

/* Fills `delivery` from its request; false when the request is malformed. */
static bool unpack(struct delivery *delivery)
{
	struct span rest = delivery->request.envelope;
	size_t room = 0;

	if (!msg_envelope_decode(&rest, &delivery->envelope) || rest.n > 0)
		return false;
	rest = delivery->request.rcpts;
	while (rest.n > 0) {
		if (delivery->rcpt_count == room) {
			room = room > 0 ? room * 2 : 16;
			delivery->rcpts = mem_resize(delivery->rcpts, room * sizeof(struct msg_rcpt));
		}
		if (!msg_rcpt_decode(&rest, &delivery->rcpts[delivery->rcpt_count++]))
			return false;
	}
	delivery->id = arena_str(&delivery->arena, delivery->request.queue_id);
	return true;
}

/* Whether the queue file can be used; else everybody is deferred: the fault is on our side. */
static bool check_file(struct delivery *delivery)
{
	static const char *const reasons[] = {
		[QUEUE_GOOD] = "", [QUEUE_UNFINISHED] = "queue file is not complete",
		[QUEUE_DAMAGED] = "queue file is damaged", [QUEUE_IO_ERROR] = "queue file read error",
	};
	enum queue_check check = queue_read_header(delivery->fd, &delivery->header);
	struct deliver_outcome outcome;

	if (check == QUEUE_GOOD)
		return true;
	log_warn("%s: %s", delivery->id, reasons[check]);
	outcome = deliver_deferred("4.3.0", span_of(reasons[check]));
	deliver_report_all(delivery, &outcome);
	return false;
}

static void forget(struct delivery *delivery)
{
	if (delivery->fd >= 0)
		(void)close(delivery->fd);
	free(delivery->rcpts);
	buf_done(&delivery->outcomes);
	buf_done(&delivery->hop_reason);
	arena_done(&delivery->arena);
}

/* One request, received last on the channel. False: it was none, and the connection ends. */
static bool serve_request(struct ipc_channel *channel, bool is_qmgr,
			  const struct deliver_agent *agent)
{
	struct delivery delivery = { .agent = agent, .handoff = clock_wall_now(),
				     .caller = channel, .is_of_qmgr = is_qmgr };

	delivery.fd = ipc_take_fd(channel);
	buf_init(&delivery.outcomes, OUTCOMES_MAX);
	buf_init(&delivery.hop_reason, HOP_REASON_MAX);
	if (!IPC_GET(channel, deliver_request, &delivery.request) || delivery.fd < 0 ||
	    !unpack(&delivery)) {
		log_warn("malformed delivery request");
		forget(&delivery);
		return false;
	}
	if (check_file(&delivery))
		agent->deliver(&delivery);
	report_result(&delivery);
	forget(&delivery);
	return ipc_is_open(channel);
}

/* Waits for a request. IPC_TIMEOUT says that the service drains. */
static enum ipc_status next_request(struct ipc_channel *channel, const struct deliver_agent *agent)
{
	struct clock_mono idle_end = agent->on_idle != NULL ? clock_in_ms(agent->idle_ms)
							    : CLOCK_NEVER;

	while (!service_wait(channel->fd, idle_end)) {
		if (service_is_draining())
			return IPC_TIMEOUT;
		if (clock_is_past(idle_end)) {
			agent->on_idle();
			idle_end = CLOCK_NEVER;
		}
	}
	return ipc_recv(channel, clock_in_ms(REQUEST_LIMIT_MS));
}

void deliver_serve(int fd, const char *client, const struct deliver_agent *agent)
{
	struct ipc_channel channel;
	bool is_qmgr = strcmp(client, "qmgr") == 0;

	ipc_attach(&channel, fd);
	/* What is not read when the connection ends goes to another agent. */
	while (next_request(&channel, agent) == IPC_OK)
		if (!serve_request(&channel, is_qmgr, agent) || service_worker_must_end())
			break;
	ipc_close(&channel);
}
