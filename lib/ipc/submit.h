/* SPDX-License-Identifier: MIT */
#ifndef IPC_SUBMIT_H
#define IPC_SUBMIT_H

/*
 * The client's side of handing a message to cleanup. A connection serves many messages:
 *
 *     cleanup: submit_ready(queue_id)        at once, and so the id is known before it is used
 *     client:  submit_open, submit_rcpts..., submit_data... (the last with is_last)
 *     cleanup: submit_authors                behind the last data, with SUBMIT_ASK_AUTHORS alone
 *     client:  submit_consent, or it closes
 *     cleanup: submit_done(result, next_queue_id)
 *
 * When cleanup's tables or configuration have changed while it waits, it says submit_ready without a
 * queue id: it still takes the message whose id it gave, which the client may have begun with, and then
 * closes. submit_connect() then reaches a cleanup that knows the new ones.
 *
 * SUBMIT_OK means that the message is durable. A client that closes before the last submit_data, or
 * instead of submit_consent, has submitted nothing. cleanup may answer submit_done before the last
 * data: the client then need not send the rest, and closes or goes on with submit_data(is_last)
 * whose bytes are dropped.
 */

#include "ipc/channel.h"

/* What cleanup leaves out (receive_override_options), by the submitter. */
enum submit_option {
	SUBMIT_NO_ADDRESS_MAPPINGS = 1 << 0,
	SUBMIT_NO_HEADER_BODY_CHECKS = 1 << 1,
	SUBMIT_NO_BCC = 1 << 2,
	SUBMIT_NO_MILTERS = 1 << 3,
	SUBMIT_NO_RECEIVED = 1 << 4,  /* the content has its Received: header already */
	SUBMIT_INTERNAL = 1 << 5,     /* made here: a notification or forwarded mail */
	SUBMIT_ASK_AUTHORS = 1 << 6,  /* the client decides by From: and Sender: */
};

enum submit_result {
	SUBMIT_OK,
	SUBMIT_REJECT,   /* permanent, by content: status and reason are the reply */
	SUBMIT_DEFER,    /* temporary: status and reason */
	SUBMIT_DISCARD,  /* accepted and thrown away; answer as for SUBMIT_OK */
	SUBMIT_TOO_BIG,  /* message_size_limit: 5.3.4 */
	SUBMIT_LOOP,     /* hopcount_limit: 5.4.0 */
};

/*
 * Opens a connection to the cleanup service `service_name` unless `channel` has one that still
 * lives, and reads its submit_ready. The id is in `queue_id` (at least 32 bytes). False, with errno,
 * when cleanup cannot be reached, ETIMEDOUT when it says nothing until service_first_answer(): a
 * temporary local fault.
 */
MUST_USE bool submit_connect(struct ipc_channel *channel, const char *service_name, char *queue_id);

struct submit_start {
	const struct msg_envelope *envelope;
	const struct msg_rcpt *rcpt; /* the only recipient; NULL: the caller sends submit_rcpts itself */
	uint32_t options;            /* SUBMIT_ */
	uint64_t size_hint;
};

/* submit_open and, with a recipient, submit_rcpts. False: what it says is too large, or as below. */
MUST_USE bool submit_open(struct ipc_channel *channel, const struct submit_start *start,
			   struct clock_mono deadline);

/*
 * Content of any length, as submit_data in pieces; with `is_last` its end, though `bytes` may be
 * empty. False: cleanup has gone, or takes nothing until the deadline.
 */
MUST_USE bool submit_bytes(struct ipc_channel *channel, struct span bytes, bool is_last,
			   struct clock_mono deadline);

/*
 * The next that cleanup says of the message, to be read with IPC_GET; submit_answer() takes nothing but
 * submit_done. As ipc_recv().
 */
MUST_USE enum ipc_status submit_hear(struct ipc_channel *channel, struct clock_mono deadline);
MUST_USE enum ipc_status submit_answer(struct ipc_channel *channel, struct msg_submit_done *ret_done,
				       struct clock_mono deadline);

/* The options (SUBMIT_) that receive_override_options of this process asks for. */
uint32_t submit_options(void);

#endif
