/* SPDX-License-Identifier: MIT */
/*
 * Opening tables by type, and what all types share: folding of keys, checks of UTF-8, reading
 * and watching files, errors. See table.h. Runs in every program; the table files belong to
 * the administrator, keys come from the network.
 */

#include "table/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fold.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "table/backend.h"

enum {
	ERROR_MAX = 4096,
	KEY_MAX = 256 * 1024,
	REGISTERED_MAX = 8,
	WRITE_FLAGS = TABLE_WRITE | TABLE_REBUILD,
};

static struct {
	struct table_settings settings;
	const struct table_proxy *proxy;
	const struct table_type *registered[REGISTERED_MAX];
	size_t registered_count;
} tables = { .settings = { .db_create_buffer_bytes = 16777216,
			   .db_read_buffer_bytes = 131072,
			   .lmdb_map_bytes = 16777216,
			   .new_file_mode = 0644,
			   .new_file_owner = (uid_t)-1,
			   .new_file_group = (gid_t)-1 } };

struct table_settings table_settings_default(void)
{
	return tables.settings;
}

void table_setup(const struct table_settings *settings)
{
	tables.settings = *settings;
}

const struct table_settings *table_settings(void)
{
	return &tables.settings;
}

void table_set_proxy(const struct table_proxy *proxy)
{
	tables.proxy = proxy;
}

const struct table_proxy *table_proxy(void)
{
	return tables.proxy;
}

void table_warn(const char *format, ...)
{
	struct buf text = BUF_INIT(ERROR_MAX);
	va_list args;

	if (tables.settings.warn == NULL)
		return;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	tables.settings.warn(buf_str(&text));
	buf_done(&text);
}

enum table_status table_fail(struct table *table, const char *format, ...)
{
	va_list args;

	buf_reset(&table->error);
	va_start(args, format);
	buf_vprintf(&table->error, format, args);
	va_end(args);
	return TABLE_ERROR;
}

void table_register(const struct table_type *type)
{
	for (size_t i = 0; i < tables.registered_count; i++)
		if (tables.registered[i] == type)
			return;
	if (tables.registered_count < REGISTERED_MAX)
		tables.registered[tables.registered_count++] = type;
}

const struct table_type *table_find_type(struct span name)
{
	for (size_t i = 0; i < tables.registered_count; i++)
		if (span_is(name, tables.registered[i]->name))
			return tables.registered[i];
	for (size_t i = 0; table_types[i] != NULL; i++)
		if (span_is(name, table_types[i]->name))
			return table_types[i];
	return table_is_remote_type(name) ? &table_type_proxy : NULL;
}

/*
 * The row for "type:rest", after redirection to the proxy. *ret_rest is where the row's own
 * name starts: behind "proxy:" for a proxied table, at the type for a redirected one.
 */
static const struct table_type *choose_type(const char *type_and_name, unsigned flags,
					    const char **ret_rest, struct buf *ret_error)
{
	struct span type_name, rest;

	if (!span_cut(span_of(type_and_name), ':', &type_name, &rest) || type_name.n == 0 ||
	    rest.n == 0) {
		buf_printf(ret_error, "open dictionary: expecting \"type:name\" form instead of \"%s\"",
			   type_and_name);
		return NULL;
	}

	const struct table_type *type = table_find_type(type_name);

	if (type == NULL) {
		buf_printf(ret_error, "unsupported dictionary type: %.*s", SPAN_ARG(type_name));
		return NULL;
	}
	*ret_rest = rest.p;
	if (type == &table_type_proxy || ((flags & TABLE_IN_JAIL) && !(type->abilities & CAN_JAIL))) {
		if (!span_is(type_name, table_type_proxy.name))
			*ret_rest = type_and_name;
		return &table_type_proxy;
	}
	if ((flags & TABLE_REBUILD) && !(type->abilities & CAN_CREATE)) {
		buf_printf(ret_error,
			   "unsupported dictionary type: %s does not support bulk-mode creation.",
			   type->name);
		return NULL;
	}
	if ((flags & TABLE_WRITE) && !(type->abilities & CAN_WRITE)) {
		buf_printf(ret_error, "%s map requires O_RDONLY access mode", type_and_name);
		return NULL;
	}
	return type;
}

struct table *table_open(const char *type_and_name, unsigned flags, struct buf *ret_error)
{
	const char *rest;

	buf_reset(ret_error);

	const struct table_type *type = choose_type(type_and_name, flags, &rest, ret_error);

	if (type == NULL)
		return NULL;

	struct table *table = mem_alloc(type->size);

	table->type = type;
	table->flags = flags;
	if (span_starts(span_of(type_and_name), SPAN("proxy:")))
		table->flags |= TABLE_BY_PROXY;
	table->name = mem_dup_str(type_and_name);
	table->rest = table->name + (rest - type_and_name);
	table->is_pattern = (type->abilities & IS_PATTERN) != 0;
	buf_init(&table->key, KEY_MAX);
	buf_init(&table->value, TABLE_VALUE_MAX);
	buf_init(&table->error, ERROR_MAX);

	if (!type->ops->open(table, ret_error)) {
		table_close(table);
		return NULL;
	}
	table->is_loaded = type->ops->load == NULL || type->ops->load(table);
	if (!table->is_loaded && ((flags & WRITE_FLAGS) != 0 || tables.settings.must_load)) {
		buf_set(ret_error, buf_span(&table->error));
		table_close(table);
		return NULL;
	}
	return table;
}

void table_close(struct table *table)
{
	if (table == NULL)
		return;
	if (table->type->ops->close != NULL)
		table->type->ops->close(table);
	buf_done(&table->key);
	buf_done(&table->value);
	buf_done(&table->error);
	free(table->path);
	free(table->name);
	free(table);
}

const char *table_name(const struct table *table)
{
	return table->name;
}

const char *table_error(const struct table *table)
{
	return buf_str(&table->error);
}

bool table_is_pattern(const struct table *table)
{
	return table->is_pattern;
}

bool table_is_loaded(const struct table *table)
{
	return table->is_loaded;
}

bool table_has_changed(struct table *table)
{
	struct stat st;

	if (table->type->ops->has_changed != NULL)
		return table->type->ops->has_changed(table);
	if (table->path == NULL)
		return false;
	if (!table->is_loaded)
		return stat(table->path, &st) == 0;
	return !table_file_is(table->path, &table->id);
}

bool table_fold(const struct table *table, struct span s, struct buf *ret)
{
	if (!(table->flags & TABLE_FOLD) || table->is_pattern)
		return buf_set(ret, s);
	return fold_text(s, (table->flags & TABLE_UTF8) != 0, ret);
}

/* Whether a key can be in any table; leaves the folded copy in table->key. */
static bool prepare_key(struct table *table, struct span key)
{
	if ((key.n == 0 && !table->is_pattern) || span_has(key, '\0'))
		return false;
	if ((table->flags & TABLE_UTF8) && !utf8_is_valid(key))
		return false;
	return table_fold(table, key, &table->key);
}

/* Never NULL, so that the NUL behind it is there for an empty key as well. */
static struct span key_span(const struct table *table)
{
	return (struct span){ buf_str(&table->key), buf_span(&table->key).n };
}

static bool ensure_loaded(struct table *table)
{
	if (!table->is_loaded)
		table->is_loaded = table->type->ops->load(table);
	else
		buf_reset(&table->error);
	return table->is_loaded;
}

enum table_status table_lookup(struct table *table, struct lookup *lookup, struct span key,
			       struct span *ret_value)
{
	struct span value;

	if (!ensure_loaded(table))
		return TABLE_ERROR;
	if (!prepare_key(table, key))
		return TABLE_NOT_FOUND;

	enum table_status status =
		table->type->ops->lookup(table, lookup, key_span(table), &value);

	if (status != TABLE_FOUND)
		return status;
	if ((table->flags & TABLE_UTF8) && !utf8_is_valid(value))
		return table_fail(table, "table %s: non-UTF-8 value for key \"%s\"", table->name,
				  buf_str(&table->key));
	*ret_value = value;
	return TABLE_FOUND;
}

enum table_put table_put(struct table *table, struct span key, struct span value)
{
	if (table->type->ops->put == NULL) {
		(void)table_fail(table, "table %s: update operation is not supported",
				 table->name);
		return TABLE_PUT_FAILED;
	}
	if (!ensure_loaded(table))
		return TABLE_PUT_FAILED;
	if (!prepare_key(table, key)) {
		(void)table_fail(table, "table %s: malformed key", table->name);
		return TABLE_PUT_FAILED;
	}
	return table->type->ops->put(table, buf_span(&table->key), value);
}

enum table_status table_delete(struct table *table, struct span key)
{
	if (table->type->ops->remove == NULL)
		return table_fail(table, "table %s: delete operation is not supported", table->name);
	if (!ensure_loaded(table))
		return TABLE_ERROR;
	if (!prepare_key(table, key))
		return TABLE_NOT_FOUND;
	return table->type->ops->remove(table, buf_span(&table->key));
}

bool table_commit(struct table *table)
{
	if (table->type->ops->commit == NULL)
		return true;

	bool is_done = table->type->ops->commit(table);

	/* From now on it is a table like any other, to be read. */
	if ((table->flags & TABLE_REBUILD) && table->type->ops->load != NULL) {
		table->flags &= ~(unsigned)TABLE_REBUILD;
		table->is_loaded = false;
	}
	return is_done;
}

enum table_status table_next(struct table *table, bool is_first, struct span *ret_key,
			     struct span *ret_value)
{
	if (table->type->ops->next == NULL)
		return table_fail(table, "table %s: sequence operation is not supported",
				  table->name);
	if (!ensure_loaded(table))
		return TABLE_ERROR;
	return table->type->ops->next(table, is_first, ret_key, ret_value);
}
