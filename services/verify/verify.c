/* SPDX-License-Identifier: MIT */
/*
 * verify: whether addresses exist, by asking where their mail would go. smtpd asks for an
 * address; what is not known is probed, and who asked waits for the outcome as long as it
 * likes. qmgr reports the outcomes. ADDRESS_VERIFICATION_README; manual: verify(8).
 *
 * One process with an event loop, uid queue, not chrooted: the cache is in data_directory. It
 * trusts smtpd and qmgr for what they say within their messages' limits; reasons are remote text.
 */

#include "services/verify/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/htab.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "ipc/table_client.h"
#include "proc/service.h"
#include "table/table.h"

/* A probe without outcome is forgotten after this time, and made again. */
enum { PROBE_MS = 1000 * 1000 };

struct client {
	struct ipc_channel channel;
	struct event_fd watch;
	struct list link; /* of those that wait for the same address */
	struct event_timer timer;
};

/* An address with a probe under way. */
struct pending {
	char *address;
	struct list waiting; /* clients */
	struct event_timer timer;
};

static struct htab pendings;

/* ---- clients ---- */

static void client_stop_waiting(struct client *client)
{
	event_cancel(&client->timer);
	list_remove(&client->link);
	list_init(&client->link);
}

static void client_close(struct client *client)
{
	client_stop_waiting(client);
	event_unwatch(&client->watch);
	ipc_close(&client->channel);
	free(client);
}

static void answer(struct client *client, enum verify_state state, const char *text)
{
	struct msg_verify_answer message = { .state = state, .text = span_of(text) };

	client_stop_waiting(client);
	if (IPC_SEND(&client->channel, verify_answer, &message, -1, clock_in_ms(0)) != IPC_OK)
		client_close(client);
}

static void on_patience_over(struct event_timer *timer)
{
	answer(CONTAINER_OF(timer, struct client, timer), VERIFY_PENDING,
	       "Address verification in progress");
}

/* ---- probes under way ---- */

static void pending_end(struct pending *pending, enum verify_state state, const char *text)
{
	event_cancel(&pending->timer);
	(void)htab_remove(&pendings, span_of(pending->address));
	while (!list_is_empty(&pending->waiting))
		answer(CONTAINER_OF(pending->waiting.next, struct client, link), state, text);
	free(pending->address);
	free(pending);
}

static void on_probe_lost(struct event_timer *timer)
{
	pending_end(CONTAINER_OF(timer, struct pending, timer), VERIFY_PENDING,
		    "Address verification in progress");
}

/* The probe for an address, begun now if there is none; NULL when none can be made. */
static struct pending *pending_get(struct span address)
{
	struct pending *pending = htab_get(&pendings, address);

	if (pending != NULL || !probe_send(address))
		return pending;
	pending = NEW(struct pending);
	pending->address = mem_dup(address);
	list_init(&pending->waiting);
	(void)htab_put(&pendings, address, pending);
	event_at(&pending->timer, clock_in_ms(PROBE_MS), on_probe_lost);
	return pending;
}

/* ---- what they say ---- */

static void on_query(struct client *client, const struct msg_verify_query *query)
{
	struct pending *pending;
	struct record record;

	if (cache_get(query->address, &record)) {
		if (cache_is_stale(&record))
			(void)pending_get(query->address);
		answer(client, record.state, record.text);
		return;
	}
	pending = pending_get(query->address);
	if (pending == NULL || query->wait_ms == 0) {
		answer(client, VERIFY_PENDING, "Address verification in progress");
		return;
	}
	list_append(&pending->waiting, &client->link);
	event_at(&client->timer, clock_in_ms(query->wait_ms), on_patience_over);
}

static void on_update(struct client *client, const struct msg_verify_update *update)
{
	struct pending *pending = htab_get(&pendings, update->address);
	struct msg_status status = { .code = 0 };
	struct record record = { .state = update->is_deliverable ? VERIFY_OK
					  : span_starts(update->status, SPAN("4")) ? VERIFY_DEFER
										   : VERIFY_BOUNCE,
				 .updated_s = clock_wall_now().us / 1000000 };

	(void)snprintf(record.text, sizeof(record.text), "%s", log_clean(update->reason));
	if (record.state == VERIFY_OK || conf->address_verify_negative_cache)
		cache_put(update->address, &record);
	else
		cache_remove(update->address);
	if (pending != NULL)
		pending_end(pending, record.state, record.text);
	if (IPC_SEND(&client->channel, status, &status, -1, clock_in_ms(0)) != IPC_OK)
		client_close(client);
}

static void on_readable(struct event_fd *watch, unsigned events)
{
	struct client *client = CONTAINER_OF(watch, struct client, watch);
	struct msg_verify_update update;
	struct msg_verify_query query;
	enum ipc_status status = ipc_recv(&client->channel, clock_in_ms(0));

	(void)events;
	if (status == IPC_TIMEOUT)
		return;
	/* One that speaks while it waits has given up on what it asked. */
	client_stop_waiting(client);
	if (status == IPC_OK && IPC_GET(&client->channel, verify_query, &query))
		on_query(client, &query);
	else if (status == IPC_OK && IPC_GET(&client->channel, verify_update, &update))
		on_update(client, &update);
	else
		client_close(client);
}

static void on_connection(int fd, const char *name)
{
	struct client *client = NEW(struct client);

	(void)name;
	list_init(&client->link);
	ipc_attach(&client->channel, fd);
	event_watch(&client->watch, fd, EPOLLIN, on_readable);
}

/* ---- life ---- */

static void prepare(void)
{
	table_register_databases();
	table_client_settings(NULL);
	table_client_setup();
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "verify",
		.kind = SERVICE_LOOP,
		.prepare = prepare,
		.start = cache_open,
		.on_connection = on_connection,
	};

	return service_main(argc, argv, &program);
}
