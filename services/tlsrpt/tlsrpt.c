/* SPDX-License-Identifier: MIT */
/*
 * tlsrpt: collects how the TLS sessions of smtp went and reports it, once a day, to the domains that
 * want to know (RFC 8460). tlsrpt.h says how the parts work together.
 *
 * One process with an event loop, uid net, in a directory of its own, where it can write to one
 * directory in it. A child for each report does what has to wait. smtp and lmtp are trusted within the
 * limits of their messages; nothing waits for this program, and what it cannot take is lost.
 * Manual: tlsrpt(8).
 */

#include "services/tlsrpt/tlsrpt.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/event.h"
#include "base/log.h"
#include "base/mem.h"
#include "proc/service.h"

enum { LIST_MAX = 60000 };

struct client {
	struct ipc_channel channel;
	struct event_fd watch;
	bool is_administrator;
};

static void client_close(struct client *client)
{
	outbox_unwatch(client);
	event_unwatch(&client->watch);
	ipc_close(&client->channel);
	free(client);
}

static bool answer(struct client *client, struct span text, bool has_more)
{
	struct msg_queue_answer message = { .text = text, .more = has_more };

	return IPC_SEND(&client->channel, queue_answer, &message, -1, clock_in_ms(0)) == IPC_OK;
}

/* A report that was asked for; who does not listen any more is noticed by the loop. */
static void on_line(struct span line, bool is_last, void *context)
{
	(void)answer(context, line, !is_last);
}

static bool list(struct client *client, struct span only)
{
	struct buf lines = BUF_INIT(LIST_MAX);
	bool is_sent;

	collect_list(only, &lines);
	outbox_list(only, &lines);
	is_sent = answer(client, buf_span(&lines), false);
	buf_done(&lines);
	return is_sent;
}

static bool command(struct client *client, const struct msg_tlsrpt_command *message)
{
	switch ((enum tlsrpt_verb)message->verb) {
	case TLSRPT_LIST: return list(client, message->domain);
	case TLSRPT_SEND:
		collect_end_periods(message->domain);
		outbox_hurry(message->domain);
		outbox_watch(on_line, client);
		return true;
	}
	return false;
}

static void on_packet(struct event_fd *watch, unsigned events)
{
	struct client *client = CONTAINER_OF(watch, struct client, watch);
	struct msg_tlsrpt_command order;
	struct msg_tlsrpt_note note;
	enum ipc_status status;

	(void)events;
	while ((status = ipc_recv(&client->channel, clock_in_ms(0))) == IPC_OK) {
		if (client->is_administrator
			    ? IPC_GET(&client->channel, tlsrpt_command, &order) &&
				      command(client, &order)
			    : IPC_GET(&client->channel, tlsrpt_note, &note) && collect_note(&note))
			continue;
		log_warn("malformed request from a client");
		status = IPC_BROKEN;
		break;
	}
	if (status != IPC_TIMEOUT)
		client_close(client);
}

static void on_connection(int fd, const char *name)
{
	struct client *client = NEW(struct client);

	client->is_administrator = strcmp(name, SERVICE_PUBLIC) == 0;
	ipc_attach(&client->channel, fd);
	event_watch(&client->watch, fd, EPOLLIN, on_packet);
}

static void on_drain(bool has_successor)
{
	(void)has_successor;
	collect_save();
	event_stop();
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "tlsrpt",
		.kind = SERVICE_LOOP,
		.prepare = store_prepare,
		.start = collect_start,
		.on_connection = on_connection,
		.on_drain = on_drain,
	};

	return service_main(argc, argv, &program);
}
