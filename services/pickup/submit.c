/* SPDX-License-Identifier: MIT */
/* The connection to cleanup, over which one message after the other goes; see ipc/submit.h. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "services/pickup/pickup.h"

enum { RCPTS_BYTES = 64 * 1024 };

static struct ipc_channel cleanup = { .fd = -1 };
static char next_id[32];

static struct clock_mono ipc_deadline(void)
{
	return clock_in_ms((int64_t)conf->ipc_timeout * 1000);
}

static void lose(struct handover *handover)
{
	handover->is_lost = true;
	ipc_close(&cleanup);
	next_id[0] = '\0';
}

bool handover_start(struct handover *handover, const char *name)
{
	*handover = (struct handover){ .name = name };
	buf_init(&handover->rcpts, IPC_RECORD_MAX);
	if (!submit_connect(&cleanup, conf->cleanup_service_name, next_id)) {
		log_warn("cannot reach the %s service: %s; mail stays in maildrop",
			 conf->cleanup_service_name, strerror(errno));
		return false;
	}
	memcpy(handover->queue_id, next_id, sizeof(handover->queue_id));
	return true;
}

void handover_open(struct handover *handover, const struct msg_envelope *envelope, unsigned options)
{
	struct submit_start start = { .envelope = envelope, .options = options };

	if (!submit_open(&cleanup, &start, ipc_deadline()))
		lose(handover);
}

static void send_rcpts(struct handover *handover)
{
	struct msg_submit_rcpts message = { .rcpts = buf_span(&handover->rcpts) };

	if (message.rcpts.n > 0 && !handover->is_lost &&
	    IPC_SEND(&cleanup, submit_rcpts, &message, -1, ipc_deadline()) != IPC_OK)
		lose(handover);
	buf_reset(&handover->rcpts);
}

void handover_rcpt(struct handover *handover, const struct msg_rcpt *rcpt)
{
	if (!msg_rcpt_encode(&handover->rcpts, rcpt))
		lose(handover);
	if (handover->rcpts.length >= RCPTS_BYTES)
		send_rcpts(handover);
}

void handover_data(struct handover *handover, struct span bytes, bool is_last)
{
	send_rcpts(handover);
	if (!handover->is_lost && !submit_bytes(&cleanup, bytes, is_last, ipc_deadline()))
		lose(handover);
}

enum pickup_result handover_abandon(struct handover *handover, enum pickup_result result)
{
	lose(handover);
	buf_done(&handover->rcpts);
	return result;
}

enum pickup_result handover_finish(struct handover *handover)
{
	struct msg_submit_done done;

	if (handover->is_lost ||
	    submit_answer(&cleanup, &done, ipc_deadline()) != IPC_OK ||
	    done.next_queue_id.n >= sizeof(next_id)) {
		log_warn("%s: lost the connection to the %s service; %s stays in maildrop",
			 handover->queue_id, conf->cleanup_service_name, handover->name);
		return handover_abandon(handover, PICKUP_LATER);
	}
	(void)snprintf(next_id, sizeof(next_id), "%.*s", SPAN_ARG(done.next_queue_id));
	buf_done(&handover->rcpts);
	switch ((enum submit_result)done.result) {
	case SUBMIT_OK:
	case SUBMIT_DISCARD: return PICKUP_DONE;
	case SUBMIT_DEFER: return PICKUP_LATER;
	case SUBMIT_REJECT:
	case SUBMIT_TOO_BIG:
	case SUBMIT_LOOP: break;
	}
	log_warn("%s: cleanup refused %s: %s %s", handover->queue_id, handover->name,
		 log_clean(done.status), log_clean(done.reason));
	return PICKUP_REFUSED;
}
