/* SPDX-License-Identifier: MIT */
/*
 * proxymap: looks up tables that a jailed daemon cannot open itself, or whose handle may not
 * cross a fork (Berkeley DB, LMDB). Each worker opens a table at its first use and again when its
 * file has changed, so that a rebuilt table counts at once.
 *
 * Runs as uid secret, outside any chroot, since tables live anywhere. A client names a table by
 * type and name and can read what this uid can, and what only root can where a parameter of that client
 * names it (copies.h): the tables that main.cf has as proxy:type:name
 * must be in proxy_read_maps, but that is to find mistakes, for the client says that they are.
 * Updates are taken for tables in proxy_write_maps alone, by the service of
 * proxywrite_service_name alone, of which one process is enough. Manual: proxymap(8).
 */

#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/words.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/table_client.h"
#include "proc/service.h"
#include "services/proxymap/copies.h"
#include "table/table.h"

/* Flags that a client may choose; how the table is opened is our matter. */
enum { REFUSALS_MAX = 100 };
enum { CLIENT_FLAGS = TABLE_FOLD | TABLE_NO_SUBST | TABLE_UTF8 };

static struct {
	/* Each program has its own: what one may read (see copies.h) another may not. */
	struct htab tables; /* program, flags and "type:name" -> struct table */
	const char *client; /* the program that is served */
} self;

static void prepare(void)
{
	copies_prepare();
	table_client_settings(copies_open);
	table_register_databases();
}

/* Whether one of the words of a list is "proxy:" and this name. */
static bool lists_table(const char *list, struct span name)
{
	struct span rest = span_of(list), word;

	while ((word = words_next(&rest, WORDS_BLANK_OR_COMMA)).n > 0) {
		if (!span_starts(word, SPAN("proxy:")))
			continue;
		while (span_starts(word, SPAN("proxy:")))
			word = span_from(word, strlen("proxy:"));
		if (span_eq(word, name))
			return true;
	}
	return false;
}

/* NULL when the client may have the table for that; else the parameter that does not list it. */
static const char *refusal(const struct msg_table_request *request)
{
	struct span name = request->table;

	while (span_starts(name, SPAN("proxy:")))
		name = span_from(name, strlen("proxy:"));
	if (request->verb != TABLE_VERB_LOOKUP || (request->flags & TABLE_WRITE) != 0)
		return lists_table(conf->proxy_write_maps, name) ? NULL : "proxy_write_maps";
	if ((request->flags & TABLE_BY_PROXY) == 0 || lists_table(conf->proxy_read_maps, name))
		return NULL;
	return "proxy_read_maps";
}

/* Says to the log, once for each table, what the client hears as an error of the table. */
static bool is_allowed(const struct msg_table_request *request, struct buf *error)
{
	static struct htab said;
	const char *parameter = refusal(request);

	if (parameter == NULL)
		return true;
	(void)buf_printf(error, "%.*s: not in %s", SPAN_ARG(request->table), parameter);
	if (said.count < REFUSALS_MAX && htab_get(&said, request->table) == NULL) {
		(void)htab_put(&said, request->table, &said);
		log_warn("request for unapproved table: \"%s\"", log_clean(request->table));
		log_warn("to approve this table for %s access, list proxy:%s in main.cf:%s",
			 strcmp(parameter, "proxy_read_maps") == 0 ? "read-only" : "read-write",
			 log_clean(request->table), parameter);
	}
	return false;
}

static struct table *open_table(struct span name, unsigned flags, struct buf *error)
{
	struct buf key = BUF_INIT(2048);
	char *text;
	struct table *table;

	(void)buf_printf(&key, "%s %u ", self.client, flags);
	(void)buf_add(&key, name);
	table = htab_get(&self.tables, buf_span(&key));
	if (table != NULL && table_has_changed(table)) {
		(void)htab_remove(&self.tables, buf_span(&key));
		table_close(table);
		table = NULL;
	}
	if (table == NULL) {
		text = mem_dup(name);
		table = table_open(text, flags, error);
		free(text);
		if (table != NULL)
			(void)htab_put(&self.tables, buf_span(&key), table);
	}
	buf_done(&key);
	return table;
}

static void look_up(const struct msg_table_request *request, struct msg_table_answer *answer,
		    struct buf *error)
{
	struct table *table = NULL;

	answer->status = TABLE_ERROR;
	if (is_allowed(request, error))
		table = open_table(request->table, request->flags & CLIENT_FLAGS, error);
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
	if (strcmp(service.name, conf->proxywrite_service_name) != 0) {
		(void)buf_printf(error, "the %s service writes no table", service.name);
		return;
	}
	if (!is_allowed(request, error))
		return;
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

/*
 * One client, for as long as it stays: it keeps its connection and asks when it must. When there are more
 * clients than workers those that have no question give way, and connect again for the next one; not
 * before the first, which is on its way.
 */
static void serve(int fd, const char *client)
{
	struct ipc_channel channel;
	struct msg_table_request request;
	bool was_asked = false;

	self.client = client;
	copies_serve(client);
	ipc_attach(&channel, fd);
	while ((was_asked ? service_wait_turn(fd) : service_wait(fd, CLOCK_NEVER)) &&
	       IPC_EXPECT(&channel, table_request, &request, clock_in_ms(0)) == IPC_OK &&
	       handle(&channel, &request))
		was_asked = true;
	ipc_close(&channel);
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "proxymap",
		.kind = SERVICE_WORKERS,
		.prepare = prepare,
		.serve = serve,
		.clients_stay = true,
	};

	return service_main(argc, argv, &program);
}
