/* SPDX-License-Identifier: MIT */
/*
 * The worker's side of the front (smtpd/front): taking a client over, and giving it up when it is
 * silent and others wait. The connection to the front lasts as long as the session; if the front
 * ends first, the session goes on without it.
 */

#include <unistd.h>

#include "base/log.h"
#include "smtpd/session.h"

enum { OFFER_MS = 5000 };

int handover_take(struct session *s, int fd)
{
	enum ipc_status status;
	int client;

	ipc_attach(&s->front, fd);
	status = IPC_EXPECT(&s->front, front_offer, &s->offer, clock_in_ms(OFFER_MS));
	client = ipc_take_fd(&s->front);
	if (status == IPC_OK && client >= 0)
		return client;
	if (status == IPC_BROKEN)
		log_warn("malformed offer from the front");
	if (client >= 0)
		(void)close(client);
	ipc_close(&s->front);
	return -1;
}

/* The front asks for this session's place; the client has said nothing for `waited_ms`. */
static bool on_front(void *context, int64_t waited_ms)
{
	struct session *s = context;
	struct msg_front_leave leave;
	struct msg_front_stay stay = { .is_trusted = s->login.length > 0 };
	enum ipc_status status =
		IPC_EXPECT(&s->front, front_leave, &leave, clock_in_ms(0));

	if (status == IPC_TIMEOUT)
		return true;
	if (status != IPC_OK) {
		stream_set_wake(&s->stream, -1, NULL, NULL);
		return true;
	}
	if (!stay.is_trusted && waited_ms >= (int64_t)leave.silent_ms)
		return false;
	(void)!IPC_SEND(&s->front, front_stay, &stay, -1, clock_in_ms(0));
	return true;
}

void handover_listen(struct session *s)
{
	if (ipc_is_open(&s->front))
		stream_set_wake(&s->stream, s->front.fd, on_front, s);
}

void handover_end(struct session *s)
{
	ipc_close(&s->front);
}
