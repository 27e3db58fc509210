/* SPDX-License-Identifier: MIT */
/* The asking side of proxymap; see table_client.h. What comes back is data of the tables. */

#include "ipc/table_client.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "proc/service.h"
#include "table/table.h"

/* Tables that are only read, and those that are written, have each a service. */
static struct ipc_channel reader = { .fd = -1, .passed_fd = -1 };
static struct ipc_channel writer = { .fd = -1, .passed_fd = -1 };

static bool exchange(struct ipc_channel *channel, const char *service_name,
		     const struct msg_table_request *request, struct msg_table_answer *ret,
		     struct clock_mono deadline)
{
	if (!ipc_is_open(channel)) {
		int fd = service_connect(service_name, deadline);

		if (fd < 0)
			return false;
		ipc_attach(channel, fd);
	}
	if (IPC_SEND(channel, table_request, request, -1, deadline) == IPC_OK &&
	    IPC_EXPECT(channel, table_answer, ret, deadline) == IPC_OK)
		return true;
	ipc_close(channel);
	return false;
}

/* One question; again over a new connection when the old one had gone meanwhile. */
static bool ask(enum table_verb verb, const char *name, unsigned flags, struct span key,
		struct span value, struct msg_table_answer *ret, struct buf *ret_error)
{
	struct msg_table_request request = { .verb = verb, .table = span_of(name), .flags = flags,
					     .key = key, .value = value };
	struct clock_mono deadline = service_first_answer();
	bool is_writer = (flags & TABLE_WRITE) != 0;
	struct ipc_channel *channel = is_writer ? &writer : &reader;
	const char *service_name = is_writer ? conf->proxywrite_service_name
					     : conf->proxymap_service_name;
	bool was_open = ipc_is_open(channel);

	if (exchange(channel, service_name, &request, ret, deadline) ||
	    (was_open && exchange(channel, service_name, &request, ret, deadline)))
		return true;
	(void)buf_printf(ret_error, "%s: the %s service does not answer", name, service_name);
	return false;
}

static enum table_status lookup(const char *name, unsigned flags, struct span key,
				struct buf *ret_value, struct buf *ret_error)
{
	struct msg_table_answer answer;

	if (!ask(TABLE_VERB_LOOKUP, name, flags, key, SPAN(""), &answer, ret_error))
		return TABLE_ERROR;
	if (answer.status > TABLE_ERROR)
		return TABLE_ERROR;
	(void)buf_add(ret_value, answer.value);
	(void)buf_add(ret_error, answer.error);
	return (enum table_status)answer.status;
}

static enum table_put put(const char *name, unsigned flags, struct span key, struct span value,
			  struct buf *ret_error)
{
	struct msg_table_answer answer;

	if (!ask(TABLE_VERB_PUT, name, flags, key, value, &answer, ret_error) ||
	    answer.status > TABLE_PUT_FAILED)
		return TABLE_PUT_FAILED;
	(void)buf_add(ret_error, answer.error);
	return (enum table_put)answer.status;
}

static enum table_status remove_key(const char *name, unsigned flags, struct span key,
				    struct buf *ret_error)
{
	struct msg_table_answer answer;

	if (!ask(TABLE_VERB_REMOVE, name, flags, key, SPAN(""), &answer, ret_error) ||
	    answer.status > TABLE_ERROR)
		return TABLE_ERROR;
	(void)buf_add(ret_error, answer.error);
	return (enum table_status)answer.status;
}

static const struct table_proxy proxy = { .lookup = lookup, .put = put, .remove = remove_key };

static void warn(const char *text)
{
	log_warn("%s", text);
}

static void trace(const char *text)
{
	log_info("%s", text);
}

static void apply_settings(void (*reading)(const char *path), int (*open_private)(const char *path))
{
	struct table_settings settings = table_settings_default();

	settings.reading = reading;
	settings.open_private = open_private;
	settings.warn = warn;
	settings.trace = trace;
	settings.must_load = conf->daemon_table_open_error_is_fatal;
	settings.db_create_buffer_bytes = (size_t)conf->berkeley_db_create_buffer_size;
	settings.db_read_buffer_bytes = (size_t)conf->berkeley_db_read_buffer_size;
	settings.lmdb_map_bytes = (size_t)conf->lmdb_map_size;
	table_setup(&settings);
}

void table_client_settings(int (*open_private)(const char *path))
{
	apply_settings(NULL, open_private);
}

void table_client_setup(void)
{
	/* What is loaded now is never looked at again from inside the jail: a change is seen by
	 * inotify, and makes a new generation. */
	apply_settings(service_watch_file, NULL);
	table_set_proxy(&proxy);
}
