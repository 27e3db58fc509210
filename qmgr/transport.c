/* SPDX-License-Identifier: MIT */
/*
 * Transports: their settings, and the connections to their agents. A connection is kept after
 * a delivery, for ipc_idle, so that an idle connection is an idle worker; and no more are opened
 * than the service may have workers.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "conf/snapshot.h"
#include "proc/service.h"
#include "qmgr/qmgr.h"

enum { CONNECT_RETRY_MS = 100 };

static struct htab transports;

/* ---- settings ---- */

/* "smtp 100 local 50 ...": how many agents each service may have, from master; 0: no limit. */
static size_t find_process_limit(const char *name)
{
	struct span rest, word, number;
	uint64_t limit = 0;

	if (!conf_snapshot_extra_get("process_limits", &rest))
		return (size_t)conf->default_process_limit;
	while ((word = span_word(&rest, " ")).n > 0) {
		number = span_word(&rest, " ");
		if (span_is(word, name) && span_u64(number, INT32_MAX, &limit))
			return (size_t)limit;
	}
	return (size_t)conf->default_process_limit;
}

static void load_feedback(const char *name, const char *suffix, struct feedback *ret)
{
	const char *text = conf_transport_text(name, suffix);

	if (!feedback_parse(span_of(text), ret)) {
		log_warn("%s_%s: malformed value: %s; using 1", name, suffix, text);
		*ret = (struct feedback){ .factor = 1 };
	}
}

static bool is_in_list(struct span name, const char *list)
{
	struct span rest = span_of(list), word;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0)
		if (span_eq_nocase(word, name))
			return true;
	return false;
}

static void load_settings(struct transport *transport)
{
	const char *name = transport->name;

	transport->rcpt_limit = conf_transport_count(name, "destination_recipient_limit");
	transport->pool_limit = conf_transport_count(name, "recipient_limit");
	transport->extra_limit = conf_transport_count(name, "extra_recipient_limit");
	transport->refill_limit = conf_transport_count(name, "recipient_refill_limit");
	transport->refill_delay = conf_transport_time(name, "recipient_refill_delay");
	transport->window_limit = conf_transport_count(name, "destination_concurrency_limit");
	transport->initial_window = conf_transport_count(name, "initial_destination_concurrency");
	transport->cohort_limit =
		conf_transport_count(name, "destination_concurrency_failed_cohort_limit");
	transport->slot_cost = conf_transport_count(name, "delivery_slot_cost");
	transport->slot_loan = conf_transport_count(name, "delivery_slot_loan");
	transport->slot_discount = conf_transport_count(name, "delivery_slot_discount");
	transport->min_slots = conf_transport_count(name, "minimum_delivery_slots");
	transport->rate_delay = conf_transport_time(name, "transport_rate_delay");
	transport->destination_rate_delay = conf_transport_time(name, "destination_rate_delay");
	load_feedback(name, "destination_concurrency_positive_feedback", &transport->positive);
	load_feedback(name, "destination_concurrency_negative_feedback", &transport->negative);
	transport->process_limit = find_process_limit(name);
	transport->is_deferred = is_in_list(span_of(name), conf->defer_transports);
	if (transport->window_limit > 0 && transport->initial_window > transport->window_limit)
		transport->initial_window = transport->window_limit;
	if (transport->initial_window < 1 || transport->destination_rate_delay > 0)
		transport->initial_window = 1;
}

static bool destination_is_before(struct heap_node *a, struct heap_node *b)
{
	struct destination *da = CONTAINER_OF(a, struct destination, ready);
	struct destination *db = CONTAINER_OF(b, struct destination, ready);
	uint64_t oa = CONTAINER_OF(heap_first(&da->peers), struct peer, node)->job->order;
	uint64_t ob = CONTAINER_OF(heap_first(&db->peers), struct peer, node)->job->order;

	return oa != ob ? oa < ob : da->picked < db->picked;
}

struct transport *transport_get(struct span name)
{
	struct transport *transport = htab_get(&transports, name);

	if (transport != NULL)
		return transport;
	transport = NEW(struct transport);
	transport->name = mem_dup(name);
	heap_init(&transport->ready, destination_is_before);
	list_init(&transport->jobs);
	list_init(&transport->idle);
	list_init(&transport->run_link);
	load_settings(transport);
	(void)htab_put(&transports, name, transport);
	return transport;
}

/* ---- connections ---- */

void connection_close(struct connection *connection)
{
	struct transport *transport = connection->transport;

	list_remove(&connection->link);
	event_cancel(&connection->idle_timer);
	event_unwatch(&connection->watch);
	ipc_close(&connection->channel);
	transport->connection_count--;
	free(connection);
	schedule_soon(transport);
}

static void on_idle_time(struct event_timer *timer)
{
	connection_close(CONTAINER_OF(timer, struct connection, idle_timer));
}

/*
 * The agent has gone. When its request was still unread (its service was renewed) another agent
 * gets it.
 */
static void on_connection_end(struct connection *connection, bool was_unread)
{
	struct entry *entry = connection->entry;

	if (entry != NULL) {
		connection->entry = NULL;
		entry->connection = NULL;
	}
	if (entry != NULL && !was_unread)
		log_warn("%s: the agent for transport %s has gone without a result",
			 entry->job->message->id, connection->transport->name);
	connection_close(connection);
	if (entry != NULL && was_unread)
		schedule_unpick(entry);
	else if (entry != NULL)
		results_on_crash(entry);
}

static void on_readable(struct event_fd *watch, unsigned events)
{
	/* One buffer for all: most of a thousand connections are idle. */
	static struct ipc_channel reader = { .fd = -1, .passed_fd = -1,
					     .in = BUF_INIT(IPC_PACKET_MAX) };
	struct connection *connection = CONTAINER_OF(watch, struct connection, watch);
	struct msg_deliver_result result;
	enum ipc_status status;

	(void)events;
	reader.fd = connection->channel.fd;
	errno = 0;
	status = ipc_recv(&reader, clock_in_ms(0));
	if (status == IPC_OK && IPC_GET(&reader, deliver_result, &result)) {
		results_take(connection, &result);
	} else if (status != IPC_TIMEOUT) {
		if (status != IPC_CLOSED)
			log_warn("transport %s: malformed result", connection->transport->name);
		on_connection_end(connection, status == IPC_CLOSED && errno == ECONNRESET);
	}
}

static void on_retry(struct event_timer *timer)
{
	struct transport *transport = CONTAINER_OF(timer, struct transport, retry_timer);

	transport->is_dead = false;
	schedule_soon(transport);
}

static void on_rate_time(struct event_timer *timer)
{
	schedule_soon(CONTAINER_OF(timer, struct transport, rate_timer));
}

static struct connection *open_new(struct transport *transport)
{
	struct connection *connection;
	int fd;

	fd = service_connect(transport->name, clock_in_ms(0));
	if (fd < 0 && errno == ETIMEDOUT) {
		/* A full backlog: as many agents as may be are at work. */
		event_at(&transport->retry_timer, clock_in_ms(CONNECT_RETRY_MS), on_retry);
		return NULL;
	}
	if (fd < 0) {
		log_warn("connect to transport private/%s: %s", log_clean_str(transport->name),
			 strerror(errno));
		transport_set_dead(transport, "4.3.0", "mail transport unavailable");
		return NULL;
	}
	connection = NEW(struct connection);
	connection->transport = transport;
	list_init(&connection->link);
	ipc_attach(&connection->channel, fd);
	event_watch(&connection->watch, fd, EPOLLIN, on_readable);
	transport->connection_count++;
	return connection;
}

struct connection *transport_connect(struct transport *transport, uint64_t destination_hash)
{
	enum { LOOK_AT = 32 };
	struct connection *best = NULL;
	int looked = 0;

	LIST_FOR(item, &transport->idle) {
		struct connection *connection = CONTAINER_OF(item, struct connection, link);

		if (best == NULL)
			best = connection;
		if (connection->last_hash == destination_hash) {
			best = connection;
			break;
		}
		if (++looked == LOOK_AT)
			break;
	}
	if (best == NULL)
		return open_new(transport);
	list_remove(&best->link);
	event_cancel(&best->idle_timer);
	return best;
}

void connection_release(struct connection *connection)
{
	struct transport *transport = connection->transport;

	connection->entry = NULL;
	list_prepend(&transport->idle, &connection->link);
	event_at(&connection->idle_timer, clock_in_ms((int64_t)conf->ipc_idle * 1000),
		 on_idle_time);
}

bool transport_may_send(const struct transport *transport)
{
	if (transport->is_dead || event_is_set(&transport->retry_timer) ||
	    event_is_set(&transport->rate_timer) || is_ending())
		return false;
	if (transport->rate_delay > 0)
		return transport->busy == 0;
	return transport->process_limit == 0 || transport->busy < transport->process_limit;
}

size_t transports_busy(void)
{
	struct htab_slot *cursor = NULL;
	struct span name;
	void *value;
	size_t busy = 0;

	while (htab_next(&transports, &cursor, &name, &value))
		busy += ((struct transport *)value)->busy;
	return busy;
}

void transport_on_end(struct transport *transport)
{
	ending_look();
	if (transport->rate_delay > 0)
		event_at(&transport->rate_timer, clock_in_ms((int64_t)transport->rate_delay * 1000),
			 on_rate_time);
}

/* ---- trouble ---- */

void transport_set_dead(struct transport *transport, const char *status, const char *reason)
{
	struct htab_slot *cursor = NULL;
	struct span name;
	void *value;

	if (transport->is_dead)
		return;
	transport->is_dead = true;
	(void)snprintf(transport->dead_status, sizeof(transport->dead_status), "%s", status);
	free(transport->dead_reason);
	transport->dead_reason = mem_dup_str(reason);
	event_at(&transport->retry_timer, clock_in_ms((int64_t)conf->transport_retry_time * 1000),
		 on_retry);
	/* Suspending one can free it, and no other; the walk allows that. */
	while (htab_next(&transport->destinations, &cursor, &name, &value))
		schedule_suspend(value, status, reason);
}

void transports_revive(void)
{
	struct htab_slot *cursor = NULL;
	struct span name;
	void *value;

	while (htab_next(&transports, &cursor, &name, &value)) {
		struct transport *transport = value;

		if (transport->is_dead)
			event_at(&transport->retry_timer, clock_in_ms(0), on_retry);
		destinations_revive(transport);
	}
}
