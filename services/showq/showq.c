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

enum { QUERY_MS = 5000, QMGR_PATIENCE_MS = 5000, PART_BYTES = 16 * 1024, PART_MAX = 136 * 1024 };

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

/* What goes in one packet. */
struct part {
	struct ipc_channel channel;
	struct buf entries;
};

static bool send_part(struct part *part)
{
	struct msg_showq_list list = { .entries = buf_span(&part->entries) };
	bool is_sent = IPC_SEND(&part->channel, showq_list, &list, -1,
				clock_in_ms((int64_t)conf->ipc_timeout * 1000)) == IPC_OK;

	buf_reset(&part->entries);
	return is_sent;
}

static bool add_entry(void *context, const struct msg_showq_entry *entry)
{
	struct part *part = context;

	if (part->entries.length + entry->rcpts.n > PART_MAX && !send_part(part))
		return false;
	return msg_showq_entry_encode(&part->entries, entry) &&
	       (part->entries.length < PART_BYTES || send_part(part));
}

static void serve(int fd, const char *client)
{
	struct part part = { .entries = BUF_INIT(IPC_RECORD_MAX) };
	struct msg_showq_entry end = { .queue_id = SPAN("") };
	struct htab active = { .count = 0 };
	struct msg_showq_query query;

	(void)client;
	ipc_attach(&part.channel, fd);
	if (IPC_EXPECT(&part.channel, showq_query, &query, clock_in_ms(QUERY_MS)) == IPC_OK &&
	    query.shares <= QUEUE_SHARES_MAX && query.share < query.shares) {
		ask_active(&active);
		if (queue_list(&dirs, &active, (struct queue_share){ query.share, query.shares },
			       add_entry, &part) &&
		    add_entry(&part, &end))
			(void)(part.entries.length == 0 || send_part(&part));
	}
	htab_done(&active, NULL);
	buf_done(&part.entries);
	ipc_close(&part.channel);
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
