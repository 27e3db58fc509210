/* SPDX-License-Identifier: MIT */
/*
 * bounce(8), under its service names bounce, defer and trace: keeps the logs of what became of
 * recipients, and makes notifications from them. Workers as the queue's owner in the queue
 * directory; no network. It is asked by qmgr and cleanup only (ipc/permit.def); of what they
 * say it trusts queue ids that look like some, and outcomes that decode.
 *
 * It answers a request when the result is durable; the order of steps is in ARCHITECTURE.md.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "services/bounce/notice.h"
#include "services/bounce/words.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "proc/service.h"
#include "queue/outcomes.h"

static struct queue_dirs dirs;

static bool take_id(struct span from, char ret_id[QUEUE_ID_MAX])
{
	if (from.n >= QUEUE_ID_MAX || !queue_id_is_valid(from))
		return false;
	(void)snprintf(ret_id, QUEUE_ID_MAX, "%.*s", SPAN_ARG(from));
	return true;
}

/* 0, or an errno. Only the log of failures must survive a power cut: others are made again. */
static uint32_t append(const struct msg_bounce_append *request)
{
	char id[QUEUE_ID_MAX];
	enum queue_dir log;

	if (!take_id(request->queue_id, id) || !queue_dir_find(request->log, &log) ||
	    (log != QUEUE_BOUNCE && log != QUEUE_DEFER && log != QUEUE_TRACE))
		return EINVAL;
	if (queue_outcomes_append(&dirs, log, id, request->outcomes, log == QUEUE_BOUNCE))
		return 0;

	int error = errno != 0 ? errno : EIO;

	log_warn("%s: append to %s: %s", id, queue_dir_name(log), strerror(error));
	return (uint32_t)error;
}

static uint32_t send_notice(const struct msg_bounce_send *request)
{
	char id[QUEUE_ID_MAX];

	if (!take_id(request->queue_id, id))
		return EINVAL;
	return notice_send(&dirs, (enum bounce_kind)request->kind, id) ? 0 : EIO;
}

static void serve(int fd, const char *client)
{
	struct ipc_channel channel;
	struct msg_bounce_append to_append;
	struct msg_bounce_send to_send;

	(void)client;
	ipc_attach(&channel, fd);
	while (service_wait(fd, CLOCK_NEVER) && ipc_recv(&channel, clock_in_ms(0)) == IPC_OK) {
		struct msg_status answer = { .code = EINVAL };

		if (IPC_GET(&channel, bounce_append, &to_append))
			answer.code = append(&to_append);
		else if (IPC_GET(&channel, bounce_send, &to_send))
			answer.code = send_notice(&to_send);
		else
			break;
		if (IPC_SEND(&channel, status, &answer, -1, clock_in_ms(10000)) != IPC_OK)
			break;
	}
	ipc_close(&channel);
}

static void prepare(void)
{
	words_load();
	if (*conf->bounce_template_file != '\0')
		service_watch_file(conf->bounce_template_file);
}

static void start(void)
{
	service_open_queue(&dirs);
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "bounce",
		.kind = SERVICE_WORKERS,
		.prepare = prepare,
		.start = start,
		.serve = serve,
	};

	return service_main(argc, argv, &program);
}
