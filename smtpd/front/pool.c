/* SPDX-License-Identifier: MIT */
/*
 * The workers of smtpd, as the front sees them: a session is a connection to smtpd's socket
 * that carries the client's socket, and the session is over when that connection is. So the front
 * knows how many workers are busy, and hands out no more clients than maxproc. When all are busy,
 * whoever waits gets the place of the session whose client has been silent for longest, unless that
 * client has logged in; the worker has the last word on that (front_leave, front_stay). No network gets
 * more than a quarter of the workers, and nobody waits longer than ten seconds for an answer. How
 * many may begin at once, pace.c says.
 */

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "proc/service.h"
#include "smtpd/front/front.h"

enum {
	UNLIMITED_WORKERS = 5000, /* maxproc 0 */
	WAIT_MS = 10000,          /* for a worker */
	SILENT_MS = 2000,         /* who was silent for less keeps its place */
	ROUND_MS = 100,           /* between two looks for places while somebody waits */
	ANSWER_MS = 1000,         /* a worker that was asked and says nothing is busy with its client */
	WARN_MS = 200000,
};

struct session {
	struct list link; /* of all sessions */
	struct pace pace;
	struct client *client;
	struct ipc_channel channel;
	struct event_fd watch;
	struct clock_mono started;
	struct clock_mono asked;      /* to leave; valid with is_asked */
	struct clock_mono asked_next; /* not before */
	bool is_asked, is_trusted;
};

static struct {
	struct list waiting;  /* first come first */
	struct list sessions;
	unsigned busy, parked;
	unsigned limit, share; /* workers in all, and for one peer */
	struct event_timer round;
	struct clock_mono warn_next;
} self;

static void run(void);

void pool_setup(void)
{
	list_init(&self.waiting);
	list_init(&self.sessions);
	self.limit = service.maxproc > 0 ? (unsigned)service.maxproc : UNLIMITED_WORKERS;
	self.share = self.limit >= 4 ? self.limit / 4 : 1;
}

bool pool_is_waited_for(void)
{
	return !list_is_empty(&self.waiting) || self.parked > 0;
}

/* postconf(5) stress: more than four of five workers are busy. */
static bool is_stressed(void)
{
	return service.maxproc > 0 && self.busy * 5 > self.limit * 4;
}

static bool has_its_share(const struct client *client)
{
	return client->exemption == EXEMPT_NO && client->peer->served >= self.share;
}

/* ---- waiting ---- */

static void on_waited_too_long(struct event_timer *timer)
{
	front_counts.waited_too_long++;
	client_refuse(CONTAINER_OF(timer, struct client, timer), "4.3.2",
		      "server is busy, try again later");
}

static void enqueue(struct client *client)
{
	if (has_its_share(client)) {
		self.parked++;
		client->is_parked = true;
		list_append(&client->peer->parked, &client->link);
	} else {
		list_append(&self.waiting, &client->link);
	}
}

static void dequeue(struct client *client)
{
	list_remove(&client->link);
	if (client->is_parked)
		self.parked--;
	client->is_parked = false;
}

/* The next one whose network has not got its share; the others are parked on the way. */
static struct client *next_waiting(void)
{
	while (!list_is_empty(&self.waiting)) {
		struct client *client = CONTAINER_OF(self.waiting.next, struct client, link);

		list_remove(&client->link);
		if (!has_its_share(client))
			return client;
		enqueue(client);
	}
	return NULL;
}

void pool_offer(struct client *client)
{
	event_unwatch(&client->watch);
	list_remove(&client->link);
	event_at(&client->timer, clock_in_ms(WAIT_MS), on_waited_too_long);
	enqueue(client);
	run();
}

void pool_refuse_all(const char *status, const char *text)
{
	while (!list_is_empty(&self.waiting))
		client_refuse(CONTAINER_OF(self.waiting.next, struct client, link), status, text);
	/* A session that ends lets one who was parked come forward; nobody else frees them. */
	LIST_FOR(item, &self.sessions) {
		struct list *parked = &CONTAINER_OF(item, struct session, link)->client->peer->parked;

		while (!list_is_empty(parked))
			client_refuse(CONTAINER_OF(parked->next, struct client, link), status, text);
	}
}

/* ---- sessions ---- */

void pool_forget(struct client *client)
{
	struct session *session = client->session;
	struct list *parked;

	if (client->is_parked)
		dequeue(client);
	if (session == NULL)
		return;
	client->session = NULL;
	event_unwatch(&session->watch);
	ipc_close(&session->channel);
	list_remove(&session->link);
	pace_end(&session->pace);
	free(session);
	self.busy--;
	client->peer->served--;
	parked = &client->peer->parked;
	if (!list_is_empty(parked)) {
		struct client *next = CONTAINER_OF(parked->next, struct client, link);

		dequeue(next);
		list_append(&self.waiting, &next->link);
	}
}

static void on_session(struct event_fd *watch, unsigned events)
{
	struct session *session = CONTAINER_OF(watch, struct session, watch);
	struct msg_front_stay stay;
	enum ipc_status status = IPC_CLOSED;

	if ((events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) == 0)
		status = IPC_EXPECT(&session->channel, front_stay, &stay, clock_in_ms(0));
	if (status == IPC_OK) {
		session->is_asked = false;
		session->is_trusted = stay.is_trusted;
		session->asked_next = clock_in_ms(SILENT_MS);
	} else if (status != IPC_TIMEOUT) {
		client_free(session->client);
		run();
	}
}

static bool send_offer(struct session *session)
{
	struct client *client = session->client;
	struct msg_front_offer offer = {
		.was_greeted = client->was_greeted, .is_stressed = is_stressed(),
		.peer_count = client->peer_count,   .peer_rate = client->peer_rate,
		.is_limited = client->is_limited,
	};

	if (client->proxied != NULL) {
		offer.client_addr = span_of(client->proxied->client_addr);
		offer.client_port = span_of(client->proxied->client_port);
		offer.server_addr = span_of(client->proxied->server_addr);
		offer.server_port = span_of(client->proxied->server_port);
	}
	return IPC_SEND(&session->channel, front_offer, &offer, client->watch.fd, clock_in_ms(0)) ==
	       IPC_OK;
}

/* False when smtpd's socket takes nobody now: it is being started, or was taken away. */
static bool hand_over(struct client *client)
{
	int fd = service_connect(service.name, clock_in_ms(0));
	struct session *session;

	if (fd < 0)
		return false;
	session = NEW(struct session);
	session->client = client;
	session->started = clock_mono_now();
	ipc_attach(&session->channel, fd);
	if (!send_offer(session)) {
		ipc_close(&session->channel);
		free(session);
		return false;
	}
	event_cancel(&client->timer);
	event_watch(&session->watch, fd, EPOLLIN | EPOLLRDHUP, on_session);
	list_append(&self.sessions, &session->link);
	pace_begin(&session->pace, session->started);
	client->session = session;
	client->peer->served++;
	self.busy++;
	return true;
}

/* ---- when all workers are busy ---- */

static void warn_full(void)
{
	if (service.maxproc == 0 || !clock_is_past(self.warn_next))
		return;
	self.warn_next = clock_in_ms(WARN_MS);
	log_warn("service \"%s\" has reached its process limit \"%u\": new clients may experience "
		 "noticeable delays", service.name, self.limit);
	log_warn("where the machine has room for more, raise maxproc of this service in master.cf "
		 "or default_process_limit in main.cf");
}

/* For how long nothing came from the client; the kernel knows without asking the worker. */
static unsigned silent_ms(const struct client *client)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	if (getsockopt(client->watch.fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return 0;
	return info.tcpi_last_data_recv;
}

/* Whether a worker has read the offer; until then its bytes count as memory of our side. */
static bool is_taken(const struct session *session)
{
	unsigned memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t size = sizeof(memory);

	return getsockopt(session->watch.fd, SOL_SOCKET, SO_MEMINFO, memory, &size) < 0 ||
	       memory[SK_MEMINFO_WMEM_ALLOC] == 0;
}

/* Nobody fetches clients from smtpd's socket: this one has waited long enough. */
static bool is_stuck(const struct session *session)
{
	return clock_is_past(clock_add_ms(session->started, WAIT_MS)) && !is_taken(session);
}

static void ask_to_leave(struct session *session)
{
	struct msg_front_leave leave = { .silent_ms = SILENT_MS };

	if (IPC_SEND(&session->channel, front_leave, &leave, -1, clock_in_ms(0)) != IPC_OK)
		return;
	front_counts.made_room++;
	session->is_asked = true;
	session->asked = clock_mono_now();
}

static bool may_be_asked(const struct session *session)
{
	return !session->is_asked && !session->is_trusted && clock_is_past(session->asked_next);
}

struct candidate {
	struct session *session;
	unsigned silent_ms;
};

/* The longest silent first. */
static int compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return x->silent_ms < y->silent_ms ? 1 : x->silent_ms > y->silent_ms ? -1 : 0;
}

/* Asks up to `wanted` sessions to leave, less those that were asked a moment ago. */
static void make_places(size_t wanted)
{
	struct candidate *list = mem_array(self.busy, sizeof(*list));
	size_t count = 0, asked = 0;

	LIST_FOR(item, &self.sessions) {
		struct session *session = CONTAINER_OF(item, struct session, link);
		unsigned silent = may_be_asked(session) ? silent_ms(session->client) : 0;

		if (session->is_asked && !clock_is_past(clock_add_ms(session->asked, ANSWER_MS)))
			asked++;
		if (silent >= SILENT_MS)
			list[count++] = (struct candidate){ session, silent };
	}
	qsort(list, count, sizeof(*list), compare);
	for (size_t i = 0; i < count && asked + i < wanted; i++)
		ask_to_leave(list[i].session);
	free(list);
}

static void drop_stuck(void)
{
	LIST_FOR_SAFE(item, &self.sessions) {
		struct session *session = CONTAINER_OF(item, struct session, link);

		if (!is_stuck(session))
			continue;
		front_counts.waited_too_long++;
		(void)shutdown(session->client->watch.fd, SHUT_RD);
		client_refuse(session->client, "4.3.2", "server is busy, try again later");
	}
}

static size_t count_waiting(size_t most)
{
	size_t count = 0;

	for (struct list *item = self.waiting.next; item != &self.waiting && count < most;
	     item = item->next)
		count++;
	return count;
}

static void on_round(struct event_timer *timer)
{
	(void)timer;
	if (self.busy >= self.limit) {
		drop_stuck();
		make_places(count_waiting(self.limit));
	}
	run();
}

/* Hands out clients while there are workers. False when the next one has to wait until *ret_next. */
static bool hand_out(struct clock_mono *ret_next)
{
	while (self.busy < self.limit && !list_is_empty(&self.waiting)) {
		struct client *client;

		if (!pace_allows(clock_mono_now(), ret_next))
			return false;
		client = next_waiting();
		if (client != NULL && !hand_over(client)) {
			list_prepend(&self.waiting, &client->link);
			return true;
		}
	}
	return true;
}

/* Whenever somebody comes or goes: who waits gets a worker, or the time when we look again is set. */
static void run(void)
{
	struct clock_mono next;

	if (!hand_out(&next)) {
		event_at(&self.round, next, on_round);
	} else if (list_is_empty(&self.waiting)) {
		event_cancel(&self.round);
	} else {
		if (self.busy >= self.limit)
			warn_full();
		if (!event_is_set(&self.round))
			event_at(&self.round, clock_in_ms(ROUND_MS), on_round);
	}
	front_check_end();
}
