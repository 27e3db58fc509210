/* SPDX-License-Identifier: MIT */
/*
 * Who talks to qmgr: cleanup tells of new messages; postqueue, showq and flush ask for a flush
 * or a list; postsuper asks qmgr to let go of a message before it touches the file; an agent that
 * found an earlier qmgr gone says its result. What each may ask follows from the socket it came
 * by and, for postsuper, from its user id.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "proc/service.h"
#include "qmgr/qmgr.h"
#include "queue/verbs.h"

enum client_kind { CLIENT_HINTS, CLIENT_AGENT, CLIENT_SERVICE, CLIENT_PUBLIC, CLIENT_SUPER };

struct client {
	struct list link;
	enum client_kind kind;
	struct ipc_channel channel;
	struct event_fd watch;
	struct htab taken; /* ids that are postsuper's until it gives them back or goes */
	char waits_for[QUEUE_ID_MAX]; /* a message that is still active, or "" */
};

static struct list clients = { &clients, &clients };
static int placeholder; /* what `taken` maps ids to */

/* Which client may ask what. */
static const struct {
	enum queue_verb verb;
	bool may[5]; /* by enum client_kind */
} permits[] = {
	/*                       HINTS  AGENT  SERVICE PUBLIC SUPER */
	{ QUEUE_FLUSH_ALL,    { false, false, false, true, true } },
	{ QUEUE_FLUSH_ONE,    { false, false, true, true, true } },
	{ QUEUE_SCAN,         { false, false, true, true, true } },
	{ QUEUE_LET_GO,       { false, false, false, false, true } },
	{ QUEUE_LET_GO_IDLE,  { false, false, false, false, true } },
	{ QUEUE_TAKE,         { false, false, false, false, true } },
	{ QUEUE_LIST_ACTIVE,  { false, false, true, false, true } },
};

static bool is_permitted(const struct client *client, uint32_t verb)
{
	for (size_t i = 0; i < ARRAY_LEN(permits); i++)
		if (permits[i].verb == verb)
			return permits[i].may[client->kind];
	return false;
}

static void client_close(struct client *client)
{
	list_remove(&client->link);
	event_unwatch(&client->watch);
	ipc_close(&client->channel);
	if (client->taken.count > 0)
		scan_incoming();
	htab_done(&client->taken, NULL);
	free(client);
}

static void answer(struct client *client, enum queue_result result, struct span text, bool more)
{
	struct msg_queue_answer message = { .result = result, .text = text, .more = more };

	/* A client that does not read its answers loses them. */
	(void)!IPC_SEND(&client->channel, queue_answer, &message, -1, clock_in_ms(0));
}

/* ---- verbs ---- */

static void list_active(struct client *client)
{
	struct buf text = BUF_INIT(65536);
	struct htab_slot *cursor = NULL;
	struct span id;
	void *value;

	while (htab_next(&messages, &cursor, &id, &value)) {
		if (text.length + id.n + 1 > 60000) {
			answer(client, QUEUE_DONE, buf_span(&text), true);
			buf_reset(&text);
		}
		(void)buf_add(&text, id);
		(void)buf_char(&text, '\n');
	}
	answer(client, QUEUE_DONE, buf_span(&text), false);
	buf_done(&text);
}

static void let_go(struct client *client, const char *id)
{
	struct message *message = htab_get(&messages, span_of(id));

	(void)htab_put(&client->taken, span_of(id), &placeholder);
	if (message == NULL) {
		answer(client, QUEUE_DONE, SPAN(""), false);
		return;
	}
	(void)snprintf(client->waits_for, sizeof(client->waits_for), "%s", id);
	message->is_leaving = true;
	schedule_drop(message);
	message_progress(message);
}

static void let_go_idle(struct client *client, struct span ids)
{
	struct buf scheduled = BUF_INIT(65536);
	struct span id;

	while (span_line(&ids, &id)) {
		if (htab_get(&messages, id) == NULL && queue_id_is_valid(id))
			(void)htab_put(&client->taken, id, &placeholder);
		else
			(void)buf_printf(&scheduled, "%.*s\n", SPAN_ARG(id));
	}
	answer(client, QUEUE_DONE, buf_span(&scheduled), false);
	buf_done(&scheduled);
}

/* The messages as they are in the queue now, whatever they were before. */
static void give_back(struct client *client, const char *id, struct span ids)
{
	struct span one;

	(void)htab_remove(&client->taken, span_of(id));
	if (strcmp(client->waits_for, id) == 0)
		client->waits_for[0] = '\0';
	while (span_line(&ids, &one))
		(void)htab_remove(&client->taken, one);
	scan_incoming();
	answer(client, QUEUE_DONE, SPAN(""), false);
}

static void flush_all(void)
{
	transports_revive();
	scan_deferred(true);
	scan_incoming();
}

static void on_command(struct client *client, const struct msg_queue_command *command)
{
	char id[QUEUE_ID_MAX] = "";

	if (queue_id_is_valid(command->queue_id))
		(void)snprintf(id, sizeof(id), "%.*s", SPAN_ARG(command->queue_id));
	switch (command->verb) {
	case QUEUE_FLUSH_ALL:
		flush_all();
		break;
	case QUEUE_FLUSH_ONE:
		transports_revive();
		if (*id == '\0' || !scan_one(id)) {
			answer(client, QUEUE_UNKNOWN, SPAN(""), false);
			return;
		}
		break;
	case QUEUE_SCAN:
		scan_incoming();
		scan_deferred(false);
		break;
	case QUEUE_LET_GO:
		let_go(client, id);
		return;
	case QUEUE_LET_GO_IDLE:
		let_go_idle(client, command->ids);
		return;
	case QUEUE_TAKE:
		give_back(client, id, command->ids);
		return;
	case QUEUE_LIST_ACTIVE:
		list_active(client);
		return;
	}
	answer(client, QUEUE_DONE, SPAN(""), false);
}

void commands_on_letters(struct span letters)
{
	for (size_t i = 0; i < letters.n; i++) {
		if (letters.p[i] == 'F')
			transports_revive();
		else if (letters.p[i] == 'I' || letters.p[i] == 'W')
			scan_incoming();
		else if (letters.p[i] == 'D')
			scan_deferred(span_has(letters, 'A'));
	}
}

/* ---- connections ---- */

/* An agent whose qmgr has gone. False: it has to say it again, or has no business here. */
static bool take_result(struct client *client, const struct msg_deliver_result *result)
{
	struct msg_deliver_taken taken = { .token = result->token };

	if (!results_take_late(result))
		return false;
	return !result->is_final ||
	       IPC_SEND(&client->channel, deliver_taken, &taken, -1, clock_in_ms(0)) == IPC_OK;
}

static bool on_packet(struct client *client)
{
	struct msg_queue_command command;
	struct msg_service_event event;
	struct msg_deliver_result result;
	struct msg_queue_new hint;

	if (client->kind == CLIENT_AGENT)
		return IPC_GET(&client->channel, deliver_result, &result) &&
		       take_result(client, &result);
	if (client->kind == CLIENT_HINTS) {
		char id[QUEUE_ID_MAX];

		if (!IPC_GET(&client->channel, queue_new, &hint) ||
		    !queue_id_is_valid(hint.queue_id))
			return false;
		(void)snprintf(id, sizeof(id), "%.*s", SPAN_ARG(hint.queue_id));
		if (hint.rescan)
			scan_incoming();
		scan_hint(id);
		return true;
	}
	if (IPC_GET(&client->channel, queue_command, &command)) {
		if (!is_permitted(client, command.verb)) {
			answer(client, QUEUE_UNKNOWN, SPAN("not permitted"), false);
			return true;
		}
		on_command(client, &command);
		return true;
	}
	if (IPC_GET(&client->channel, service_event, &event) && event.event == EVENT_KICK) {
		commands_on_letters(event.text);
		return true;
	}
	return false;
}

static void on_readable(struct event_fd *watch, unsigned events)
{
	enum { PACKETS_A_TURN = 16 };
	struct client *client = CONTAINER_OF(watch, struct client, watch);

	(void)events;
	for (int i = 0; i < PACKETS_A_TURN; i++) {
		enum ipc_status status = ipc_recv(&client->channel, clock_in_ms(0));

		if (status == IPC_TIMEOUT)
			return;
		if (status != IPC_OK || !on_packet(client)) {
			client_close(client);
			return;
		}
	}
}

static enum client_kind kind_of(int fd, const char *name)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (strcmp(name, "cleanup") == 0)
		return CLIENT_HINTS;
	if (strcmp(name, "flush") == 0 || strcmp(name, "showq") == 0)
		return CLIENT_SERVICE;
	if (strcmp(name, SERVICE_PUBLIC) != 0)
		return CLIENT_AGENT;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	    (peer.uid == 0 || peer.uid == geteuid()))
		return CLIENT_SUPER;
	return CLIENT_PUBLIC;
}

void commands_on_connection(int fd, const char *name)
{
	struct client *client = NEW(struct client);

	client->kind = kind_of(fd, name);
	ipc_attach(&client->channel, fd);
	list_append(&clients, &client->link);
	event_watch(&client->watch, fd, EPOLLIN, on_readable);
}

bool commands_has_taken(const char *id)
{
	LIST_FOR(item, &clients) {
		struct client *client = CONTAINER_OF(item, struct client, link);

		if (client->taken.count > 0 && htab_get(&client->taken, span_of(id)) != NULL)
			return true;
	}
	return false;
}

void commands_on_left(const char *id)
{
	LIST_FOR(item, &clients) {
		struct client *client = CONTAINER_OF(item, struct client, link);

		if (strcmp(client->waits_for, id) == 0) {
			client->waits_for[0] = '\0';
			answer(client, QUEUE_DONE, SPAN(""), false);
		}
	}
}
