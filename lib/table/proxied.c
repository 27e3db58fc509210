/* SPDX-License-Identifier: MIT */
/*
 * Tables that another process reads for this one: proxy:type:name, and any type that is not
 * linked in or cannot be used in a jail. How it is asked is table_set_proxy()'s.
 */

#include "table/backend.h"
#include "table/lookup.h"

struct proxied_table {
	struct table base;
	struct buf key; /* of the entry that the walk is at */
};

/* The other process opens it for use right there. */
static unsigned remote_flags(const struct table *table)
{
	return table->flags & ~(unsigned)TABLE_IN_JAIL;
}

static bool proxied_open(struct table *table, struct buf *ret_error)
{
	struct span type_name, rest;

	if (!span_cut(span_of(table->rest), ':', &type_name, &rest) || type_name.n == 0 ||
	    rest.n == 0) {
		buf_printf(ret_error, "bad syntax: \"%s\"; need \"proxy:type:name\"", table->name);
		return false;
	}

	const struct table_type *type = table_find_type(type_name);

	table->is_pattern = type != NULL && (type->abilities & IS_PATTERN) != 0;
	buf_init(&CONTAINER_OF(table, struct proxied_table, base)->key, TABLE_VALUE_MAX);
	return true;
}

static void proxied_close(struct table *table)
{
	buf_done(&CONTAINER_OF(table, struct proxied_table, base)->key);
}

static enum table_status unsupported(struct table *table)
{
	return table_fail(table, "table %s: operation is not supported by proxy", table->name);
}

static enum table_status proxied_lookup(struct table *table, struct lookup *lookup,
					struct span key, struct span *ret_value)
{
	struct span text;
	enum table_status status = lookup_remote(lookup, table->rest, remote_flags(table), key,
						 &table->value, &table->error, &text);

	if (status == TABLE_FOUND)
		*ret_value = text;
	else if (status == TABLE_ERROR && lookup != NULL)
		buf_set(&table->error, text);
	return status;
}

static enum table_put proxied_put(struct table *table, struct span key, struct span value)
{
	const struct table_proxy *proxy = table_proxy();

	if (proxy == NULL || proxy->put == NULL) {
		(void)unsupported(table);
		return TABLE_PUT_FAILED;
	}
	buf_reset(&table->error);
	return proxy->put(table->rest, remote_flags(table), key, value, &table->error);
}

static enum table_status proxied_remove(struct table *table, struct span key)
{
	const struct table_proxy *proxy = table_proxy();

	if (proxy == NULL || proxy->remove == NULL)
		return unsupported(table);
	buf_reset(&table->error);
	return proxy->remove(table->rest, remote_flags(table), key, &table->error);
}

static enum table_status proxied_next(struct table *table, bool is_first, struct span *ret_key,
				      struct span *ret_value)
{
	struct buf *key = &CONTAINER_OF(table, struct proxied_table, base)->key;
	const struct table_proxy *proxy = table_proxy();

	if (proxy == NULL || proxy->next == NULL)
		return unsupported(table);
	buf_reset(key);
	buf_reset(&table->value);
	buf_reset(&table->error);

	enum table_status status = proxy->next(table->rest, remote_flags(table), is_first, key,
					       &table->value, &table->error);

	*ret_key = buf_span(key);
	*ret_value = buf_span(&table->value);
	return status;
}

static const struct table_ops proxied_ops = {
	.open = proxied_open,
	.lookup = proxied_lookup,
	.put = proxied_put,
	.remove = proxied_remove,
	.next = proxied_next,
	.close = proxied_close,
};
const struct table_type table_type_proxy = { "proxy", CAN_JAIL | CAN_WRITE,
					     sizeof(struct proxied_table), &proxied_ops };
