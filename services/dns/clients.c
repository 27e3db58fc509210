/* SPDX-License-Identifier: MIT */
/*
 * The clients of the dns service: each connection has its questions answered in the order they
 * came. A client that does not take its answers is closed; one that asks too much at a time is
 * not read until some are answered.
 */

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/event.h"
#include "base/log.h"
#include "base/mem.h"
#include "dns.h"
#include "ipc/channel.h"

enum { OUTSTANDING_MAX = 64 };

struct client {
	struct event_fd watch;
	struct ipc_channel channel;
	struct list requests; /* oldest first */
	unsigned outstanding;
	bool is_busy;   /* on the stack: do not free */
	bool is_closed;
};

struct request {
	struct list link;
	struct client *client;
	struct waiter waiter;
	struct event_timer timer;
	bool wants_secure;
	struct answer *answer; /* NULL: not yet */
};

static void request_end(struct request *request)
{
	question_forget(&request->waiter);
	event_cancel(&request->timer);
	list_remove(&request->link);
	request->client->outstanding--;
	answer_drop(request->answer);
	free(request);
}

static void client_end(struct client *client)
{
	if (!client->is_closed) {
		client->is_closed = true;
		event_unwatch(&client->watch);
		ipc_close(&client->channel);
		while (!list_is_empty(&client->requests))
			request_end(CONTAINER_OF(client->requests.next, struct request, link));
	}
	if (!client->is_busy)
		free(client);
}

static bool send_answer(struct client *client, const struct request *request)
{
	const struct answer *answer = request->answer;
	struct msg_dns_answer message = {
		.rcode = answer->rcode,
		.is_secure = answer->is_secure && request->wants_secure,
		.ttl_s = (uint32_t)(clock_poll_ms(answer->expires) / 1000),
		.canonical_name = answer->canonical,
		.records = answer->records,
	};

	return IPC_SEND(&client->channel, dns_answer, &message, -1, clock_in_ms(0)) == IPC_OK;
}

/* Sends what is answered, up to the first that is not. */
static bool send_answers(struct client *client)
{
	while (!list_is_empty(&client->requests)) {
		struct request *first = CONTAINER_OF(client->requests.next, struct request, link);

		if (first->answer == NULL)
			return true;
		if (!send_answer(client, first))
			return false;
		request_end(first);
	}
	return true;
}

static void on_client(struct event_fd *watch, unsigned events);

static void settle(struct client *client)
{
	if (!send_answers(client)) {
		client_end(client);
		return;
	}
	event_watch(&client->watch, client->channel.fd,
		    client->outstanding < OUTSTANDING_MAX ? (unsigned)EPOLLIN : 0, on_client);
}

static void on_answer(struct waiter *waiter, struct answer *answer)
{
	struct request *request = CONTAINER_OF(waiter, struct request, waiter);
	struct client *client = request->client;

	request->answer = answer;
	event_cancel(&request->timer);
	if (!client->is_busy)
		settle(client);
}

static void on_time(struct event_timer *timer)
{
	struct request *request = CONTAINER_OF(timer, struct request, timer);

	question_forget(&request->waiter);
	on_answer(&request->waiter, answer_failure(DNS_FAIL_TIMEOUT));
}

static void take_query(struct client *client, const struct msg_dns_query *query)
{
	struct request *request = NEW(struct request);
	enum dns_type type = (enum dns_type)query->type;
	struct answer *answer;

	request->client = client;
	request->wants_secure = (query->flags & DNS_WANT_SECURE) != 0;
	request->waiter.on_answer = on_answer;
	list_append(&client->requests, &request->link);
	client->outstanding++;
	/* What comes later than the client waits for is still good for the cache. */
	event_at(&request->timer, clock_in_ms(query->timeout_ms), on_time);
	answer = local_answer(query->name, type, query->flags);
	if (answer == NULL)
		answer = question_ask(query->name, type, &request->waiter);
	if (answer != NULL)
		on_answer(&request->waiter, answer);
}

static void on_client(struct event_fd *watch, unsigned events)
{
	struct client *client = CONTAINER_OF(watch, struct client, watch);
	struct msg_dns_query query;
	enum ipc_status status = IPC_OK;

	(void)events;
	client->is_busy = true;
	while (client->outstanding < OUTSTANDING_MAX &&
	       (status = IPC_EXPECT(&client->channel, dns_query, &query, clock_in_ms(0))) == IPC_OK)
		take_query(client, &query);
	client->is_busy = false;
	if (status == IPC_BROKEN)
		log_warn("malformed question from a client");
	if (status == IPC_OK || status == IPC_TIMEOUT)
		settle(client);
	else
		client_end(client);
}

void client_new(int fd, const char *program)
{
	struct client *client = NEW(struct client);

	(void)program;
	ipc_attach(&client->channel, fd);
	list_init(&client->requests);
	event_watch(&client->watch, fd, EPOLLIN, on_client);
}
