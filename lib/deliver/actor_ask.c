/* SPDX-License-Identifier: MIT */
/* The side of the worker, which has no rights and asks for all; see actor.h. */

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "deliver/actor.h"
#include "ipc/channel.h"
#include "proc/fork.h"
#include "proc/service.h"

enum { LASTING_MAX = 4 };

/* A lasting actor. */
struct line {
	uint32_t uid, gid;
	struct ipc_channel actor;
};

static struct {
	const struct actor_rules *rules;
	struct ipc_channel monitor;
	int limit_ms;
	struct line lines[LASTING_MAX];
	size_t next_to_end;
} ask;

void actor_start(const struct actor_rules *rules)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		fatal("socketpair: %s", strerror(errno));
	pid = fork_patiently();
	if (pid < 0)
		fatal("fork: %s", strerror(errno));
	if (pid == 0)
		actor_monitor(pair[1], rules);
	(void)close(pair[1]);
	ipc_attach(&ask.monitor, pair[0]);
	for (size_t i = 0; i < LASTING_MAX; i++)
		ask.lines[i].actor.fd = -1;
	ask.rules = rules;
	ask.limit_ms = 2 * ACTOR_SPARE_MS + rules->time_limit_s * 1000;
}

static struct msg_act_answer no_answer(void)
{
	return (struct msg_act_answer){ .status = SPAN("4.3.0"), .error = EIO,
					.reason = SPAN(ACTOR_GONE) };
}

enum asked { ANSWERED, NOT_SENT, NOT_ANSWERED };

/*
 * Unless it was answered `ret` says so. What comes late would be taken for the answer to the next
 * request, so the channel is closed then.
 */
static enum asked ask_over(struct ipc_channel *channel, const struct msg_act_request *request,
			   int queue_fd, struct msg_act_answer *ret)
{
	enum ipc_status status = IPC_SEND(channel, act_request, request, queue_fd,
					  clock_in_ms(ACTOR_SEND_MS));
	bool is_sent = status == IPC_OK;

	if (is_sent)
		status = IPC_EXPECT(channel, act_answer, ret, clock_in_ms(ask.limit_ms));
	if (status == IPC_OK && dsn_status_length(ret->status) == ret->status.n && ret->status.n > 0)
		return ANSWERED;
	*ret = no_answer();
	if (status != IPC_BROKEN || errno != EMSGSIZE)
		ipc_close(channel);
	return is_sent ? NOT_ANSWERED : NOT_SENT;
}

/* Without its monitor a worker is of no use. */
static bool ask_monitor(const struct msg_act_request *request, int queue_fd,
			struct msg_act_answer *ret)
{
	bool is_good = ask_over(&ask.monitor, request, queue_fd, ret) == ANSWERED;

	if (!ipc_is_open(&ask.monitor))
		service_end_worker();
	return is_good;
}

/* One that lives and has this identity, or a new one in a free place or in the oldest's. NULL: `ret`
 * says why not. */
static struct ipc_channel *lasting_actor(const struct msg_act_request *request,
					 struct msg_act_answer *ret)
{
	struct line *line = NULL;
	int fd;

	for (size_t i = 0; i < LASTING_MAX; i++) {
		struct line *one = &ask.lines[i];

		if (!ipc_is_open(&one->actor))
			line = one;
		else if (one->uid == request->uid && one->gid == request->gid)
			return &one->actor;
	}
	if (!ask_monitor(request, -1, ret))
		return NULL;
	fd = ipc_take_fd(&ask.monitor);
	if (fd < 0) { /* it says why, or "good" with nothing to ask */
		if (span_starts(ret->status, SPAN("2.")))
			*ret = no_answer();
		return NULL;
	}
	if (line == NULL) {
		line = &ask.lines[ask.next_to_end++ % LASTING_MAX];
		ipc_close(&line->actor);
	}
	line->uid = request->uid;
	line->gid = request->gid;
	ipc_attach(&line->actor, fd);
	return &line->actor;
}

void actor_ask(const struct msg_act_request *request, int queue_fd, struct msg_act_answer *ret)
{
	struct ipc_channel *actor;

	if (!ask.rules->are_lasting) {
		(void)ask_monitor(request, queue_fd, ret);
		return;
	}
	/* One that has gone meanwhile did not see the request, and one that is elsewhere goes now. */
	for (int attempt = 0; attempt < 2; attempt++) {
		enum asked asked;

		actor = lasting_actor(request, ret);
		if (actor == NULL)
			return;
		asked = ask_over(actor, request, queue_fd, ret);
		if (asked == ANSWERED && ret->is_elsewhere) {
			ipc_close(actor);
			*ret = no_answer();
		} else if (asked != NOT_SENT) {
			return;
		}
	}
}
