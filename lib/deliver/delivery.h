/* SPDX-License-Identifier: MIT */
#ifndef DELIVER_DELIVERY_H
#define DELIVER_DELIVERY_H

/*
 * What every delivery agent does the same way: it serves one connection of qmgr (ipc/deliver.h),
 * gets deliveries, reports what became of each recipient, and logs it. The agent's own part is
 * one function, `deliver`.
 *
 * This is the one library that logs: the line of a recipient ("to=<...>, relay=..., status=sent
 * (...)"), which has the same form in every agent, and trouble with the request itself.
 */

#include "base/clock.h"
#include "base/mem.h"
#include "ipc/deliver.h"
#include "mail/dsn.h"
#include "queue/file.h"

struct deliver_agent;
struct ipc_channel;

/* One request: some recipients of one message. Spans live until the delivery ends. */
struct delivery {
	struct msg_deliver_request request;
	struct msg_envelope envelope;
	struct queue_header header;
	int fd; /* the queue file, to be read with queue_read_head() and queue_body_...() */
	const char *id; /* request.queue_id */
	struct msg_rcpt *rcpts;
	size_t rcpt_count;
	struct clock_wall handoff; /* when it came here */
	struct clock_wall connected; /* a network agent: when the transfer began; else 0 */
	struct arena arena; /* for the agent; reset when the delivery ends */

	/* private */
	const struct deliver_agent *agent;
	struct ipc_channel *caller;
	bool is_of_qmgr; /* else another agent's, by deliver_pass() */
	struct buf outcomes;
	char hop_status[DSN_STATUS_SIZE];
	struct buf hop_reason;
};

struct deliver_agent {
	const char *relay; /* for the log, where an outcome has none: the program's name */
	void (*deliver)(struct delivery *delivery);

	/* Called after `idle_ms` without a request; the smtp client ends its sessions then. */
	void (*on_idle)(void);
	int idle_ms;
};

/*
 * Opens the tables of X_delivery_status_filter (the value of that parameter); from prepare().
 * A table that cannot be opened is fatal.
 */
void deliver_prepare(const char *title, const char *tables);

/*
 * serve() of an agent: all requests of one connection, until its client closes it. Takes over
 * `fd`. A client other than qmgr (local passes recipients on, see deliver_pass()) gets the result
 * over the connection.
 */
void deliver_serve(int fd, const char *client, const struct deliver_agent *agent);

/* What became of a recipient. Zeroed members that the comment calls optional may stay so. */
struct deliver_outcome {
	enum dsn_action action; /* DELIVERED, RELAYED, EXPANDED; DELAYED, FAILED */
	char status[DSN_STATUS_SIZE];
	struct span reason; /* one line, without the status; at most 4096 bytes are kept */
	struct span relay; /* optional: "mx.example.com[192.0.2.1]:25" */
	struct span remote_mta; /* optional: Remote-MTA: of a notification */
	struct span diagnostic_type; /* optional: "smtp" or "x-unix" */
	struct span diagnostic; /* optional: Diagnostic-Code:; else made from the reason */
	struct span owner; /* optional: is told of a failure instead of the sender */
	unsigned connection_uses; /* optional: conn_use= of the log when above 1 */
	struct span tls; /* optional: tls= of the log */
};

/*
 * Logs and reports the outcome of `rcpt`, which is one of delivery->rcpts, or a copy of one whose
 * address an alias changed: then there are several outcomes with the offset of that recipient,
 * and it is tried again if any of them is DELAYED. Applies the status filter and soft_bounce,
 * and turns it into DELIVERABLE or UNDELIVERABLE for a probe.
 */
void deliver_report(struct delivery *delivery, const struct msg_rcpt *rcpt,
		    const struct deliver_outcome *outcome);

/*
 * The head of the message into `head`. When it cannot be read, everybody is deferred, it is
 * logged why, and false is returned: the delivery is over.
 */
MUST_USE bool deliver_read_head(struct delivery *delivery, struct buf *head);

/* deliver_report() of the same outcome for all recipients. */
void deliver_report_all(struct delivery *delivery, const struct deliver_outcome *outcome);

/*
 * Hands one recipient to the agent of the service `transport`, which logs, and takes over what it
 * reports. PERMIT must allow it. Returns the action: DSN_DELAYED when the agent cannot be
 * reached or gave no result, which is then reported with `relay` this agent's.
 */
enum dsn_action deliver_pass(struct delivery *delivery, const struct msg_rcpt *rcpt,
			     const char *transport, struct span nexthop, struct span sender);

/* Tells qmgr that the whole destination is in trouble: it slows down or stops for a while. */
void deliver_hop_trouble(struct delivery *delivery, const char *status, struct span reason);

/* Short forms; `reason` is borrowed until the outcome was reported. */
struct deliver_outcome deliver_sent(struct span reason); /* DELIVERED 2.0.0 */
struct deliver_outcome deliver_deferred(const char *status, struct span reason);
struct deliver_outcome deliver_failed(const char *status, struct span reason);

/* "5.1.1" or "4.3.0" and so on by its class: FAILED, DELAYED, or DELIVERED. */
struct deliver_outcome deliver_by_status(const char *status, struct span reason);

/* Whether it is a probe: find out, transfer nothing. */
bool deliver_is_probe(const struct delivery *delivery);

#endif
