/* SPDX-License-Identifier: MIT */
/*
 * showq(8): sends a list of the queue to whoever connects, which is postqueue; master lets only
 * that in. Workers as the queue's owner in the queue directory; they read, and ask qmgr which
 * messages are active. Nothing that a client says is read.
 */

#include <unistd.h>

#include "conf/conf.h"
#include "ipc/channel.h"
#include "proc/service.h"
#include "queue/listing.h"
#include "queue/verbs.h"

enum { QMGR_PATIENCE_MS = 5000 };

static struct queue_dirs dirs;

/* The ids that qmgr has in hand. When it does not answer, none is shown as active. */
static void ask_active(struct htab *active)
{
	struct clock_mono deadline = clock_in_ms(QMGR_PATIENCE_MS);
	struct msg_queue_command command = { .verb = QUEUE_LIST_ACTIVE };
	struct msg_queue_answer answer = { .more = true };
	struct ipc_channel channel;
	int fd = service_connect(conf->queue_service_name, deadline);

	if (fd < 0)
		return;
	ipc_attach(&channel, fd);
	if (IPC_SEND(&channel, queue_command, &command, -1, deadline) == IPC_OK)
		while (answer.more &&
		       IPC_EXPECT(&channel, queue_answer, &answer, deadline) == IPC_OK) {
			struct span rest = answer.text, id;

			while (span_line(&rest, &id))
				(void)htab_put(active, id, active);
		}
	ipc_close(&channel);
}

static bool send_entry(void *context, const struct msg_showq_entry *entry)
{
	return IPC_SEND((struct ipc_channel *)context, showq_entry, entry, -1,
			clock_in_ms((int64_t)conf->ipc_timeout * 1000)) == IPC_OK;
}

static void serve(int fd, const char *client)
{
	struct msg_showq_entry end = { .queue_id = SPAN("") };
	struct htab active = { .count = 0 };
	struct ipc_channel channel;

	(void)client;
	ipc_attach(&channel, fd);
	ask_active(&active);
	if (queue_list(&dirs, &active, send_entry, &channel))
		(void)send_entry(&channel, &end);
	htab_done(&active, NULL);
	ipc_close(&channel);
}

static void start(void)
{
	service_open_queue(&dirs);
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "showq",
		.kind = SERVICE_WORKERS,
		.start = start,
		.serve = serve,
	};

	return service_main(argc, argv, &program);
}
