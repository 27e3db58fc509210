/* SPDX-License-Identifier: MIT */
/*
 * proxymap: looks up tables that a jailed daemon cannot open itself, or whose handle may not
 * cross a fork (Berkeley DB, LMDB). Each worker opens a table at its first use and again when its
 * file has changed, so that a rebuilt table counts at once.
 *
 * Runs as uid secret, outside any chroot, since tables live anywhere. A client names a table by
 * type and name and can read what this uid can; updates are taken for tables in
 * proxy_write_maps alone. Manual: proxymap(8).
 */

#include <stdlib.h>

#include "base/htab.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/table_client.h"
#include "proc/service.h"
#include "table/table.h"

/* Flags that a client may choose; how the table is opened is our matter. */
enum { CLIENT_FLAGS = TABLE_FOLD | TABLE_NO_SUBST | TABLE_UTF8 };

static struct htab tables; /* flags and "type:name" -> struct table */

static void prepare(void)
{
	table_client_settings();
	table_register_databases();
}

/* Whether main.cf lists the table as one that may be written through proxymap. */
static bool may_write(struct span name)
{
	struct span rest = span_of(conf->proxy_write_maps), word;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0) {
		if (span_starts(word, SPAN("proxy:")))
			word = span_from(word, 6);
		if (span_eq(word, name))
			return true;
	}
	return false;
}

static struct table *open_table(struct span name, unsigned flags, struct buf *error)
{
	struct buf key = BUF_INIT(2048);
	char *text;
	struct table *table;

	(void)buf_printf(&key, "%u ", flags);
	(void)buf_add(&key, name);
	table = htab_get(&tables, buf_span(&key));
	if (table != NULL && table_has_changed(table)) {
		(void)htab_remove(&tables, buf_span(&key));
		table_close(table);
		table = NULL;
	}
	if (table == NULL) {
		text = mem_dup(name);
		table = table_open(text, flags, error);
		free(text);
		if (table != NULL)
			(void)htab_put(&tables, buf_span(&key), table);
	}
	buf_done(&key);
	return table;
}

static void look_up(const struct msg_table_request *request, struct msg_table_answer *answer,
		    struct buf *error)
{
	struct table *table = open_table(request->table, request->flags & CLIENT_FLAGS, error);

	answer->status = TABLE_ERROR;
	if (table == NULL)
		return;
	answer->status = table_lookup(table, NULL, request->key, &answer->value);
	if (answer->status != TABLE_FOUND)
		answer->value = SPAN("");
	if (answer->status == TABLE_ERROR)
		(void)buf_text(error, table_error(table));
}

static void change(const struct msg_table_request *request, struct msg_table_answer *answer,
		   struct buf *error)
{
	unsigned flags = (request->flags & (CLIENT_FLAGS | TABLE_REPLACE)) | TABLE_WRITE;
	bool is_put = request->verb == TABLE_VERB_PUT;
	struct table *table;

	answer->status = is_put ? (uint32_t)TABLE_PUT_FAILED : (uint32_t)TABLE_ERROR;
	if (!may_write(request->table)) {
		(void)buf_printf(error, "%.*s: not in proxy_write_maps", SPAN_ARG(request->table));
		return;
	}
	table = open_table(request->table, flags, error);
	if (table == NULL)
		return;
	answer->status = is_put ? (uint32_t)table_put(table, request->key, request->value)
				: (uint32_t)table_delete(table, request->key);
	if (!table_commit(table))
		answer->status = is_put ? (uint32_t)TABLE_PUT_FAILED : (uint32_t)TABLE_ERROR;
	(void)buf_text(error, table_error(table));
}

/* False when the answer could not be sent: the client is not to wait for it. */
static bool handle(struct ipc_channel *channel, const struct msg_table_request *request)
{
	struct msg_table_answer answer = { .status = TABLE_ERROR, .value = SPAN("") };
	struct buf error = BUF_INIT(1000);
	enum ipc_status status;

	switch ((enum table_verb)request->verb) {
	case TABLE_VERB_LOOKUP: look_up(request, &answer, &error); break;
	case TABLE_VERB_PUT:
	case TABLE_VERB_REMOVE: change(request, &answer, &error); break;
	case TABLE_VERB_FIRST:
	case TABLE_VERB_NEXT:
		(void)buf_text(&error, "proxymap walks no tables");
		break;
	}
	answer.error = buf_span(&error);
	status = IPC_SEND(channel, table_answer, &answer, -1,
			  clock_in_ms((int64_t)conf->ipc_timeout * 1000));
	buf_done(&error);
	return status == IPC_OK;
}

/* One client, for as long as it stays: it keeps its connection and asks when it must. */
static void serve(int fd, const char *client)
{
	struct ipc_channel channel;
	struct msg_table_request request;

	(void)client;
	ipc_attach(&channel, fd);
	while (service_wait(fd, CLOCK_NEVER) &&
	       IPC_EXPECT(&channel, table_request, &request, clock_in_ms(0)) == IPC_OK &&
	       handle(&channel, &request))
		;
	ipc_close(&channel);
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "proxymap",
		.kind = SERVICE_WORKERS,
		.prepare = prepare,
		.serve = serve,
	};

	return service_main(argc, argv, &program);
}
