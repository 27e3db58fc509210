/* SPDX-License-Identifier: MIT */
/*
 * Searching a list of tables; see maps.h. The lists are the administrator's, the keys come
 * from the network.
 */

#include "table/maps.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/words.h"
#include "table/backend.h"
#include "table/maps_impl.h"

enum { ADDRESS_MAX = 64 * 1024, MAPS_ERROR_MAX = 4096 };

struct maps *maps_open(const char *title, struct span list, unsigned flags, struct buf *ret_error)
{
	struct maps *maps = NEW(struct maps);
	struct span word;

	maps->title = mem_dup_str(title);
	buf_init(&maps->error, MAPS_ERROR_MAX);
	buf_init(&maps->quoted, 2 * ADDRESS_MAX);
	buf_init(&maps->key, ADDRESS_MAX);
	while ((word = words_next(&list, WORDS_BLANK_OR_COMMA)).n > 0) {
		char *name = mem_dup(word);
		struct table *table = table_open(name, flags, ret_error);

		free(name);
		if (table == NULL) {
			maps_close(maps);
			return NULL;
		}
		maps->tables =
			mem_resize(maps->tables, (maps->count + 1) * sizeof(*maps->tables));
		maps->tables[maps->count++] = table;
	}
	return maps;
}

bool maps_check(struct span list, struct buf *ret_error)
{
	struct span word, type, rest;

	while ((word = words_next(&list, WORDS_BLANK_OR_COMMA)).n > 0) {
		if (!span_cut(word, ':', &type, &rest) || type.n == 0 || rest.n == 0) {
			buf_printf(ret_error, "\"%.*s\" is no table: expected type:name",
				   SPAN_ARG(word));
			return false;
		}
		/* What the proxymap service would have to open: "proxy:mysql:/file". */
		while (span_is(type, "proxy") && span_cut(rest, ':', &type, &rest))
			;
		if (table_find_type(type) == NULL) {
			buf_printf(ret_error, "\"%.*s\": unsupported table type: see postconf -m",
				   SPAN_ARG(word));
			return false;
		}
	}
	return true;
}

void maps_close(struct maps *maps)
{
	if (maps == NULL)
		return;
	for (size_t i = 0; i < maps->count; i++)
		table_close(maps->tables[i]);
	free(maps->tables);
	free(maps->title);
	buf_done(&maps->error);
	buf_done(&maps->quoted);
	buf_done(&maps->key);
	free(maps);
}

bool maps_is_empty(const struct maps *maps)
{
	return maps->count == 0;
}

bool maps_have_changed(struct maps *maps)
{
	for (size_t i = 0; i < maps->count; i++)
		if (table_has_changed(maps->tables[i]))
			return true;
	return false;
}

const char *maps_error(const struct maps *maps)
{
	return buf_str(&maps->error);
}

const char *maps_title(const struct maps *maps)
{
	return maps->title;
}

const char *maps_origin(const struct maps *maps)
{
	return maps->origin != NULL ? table_name(maps->origin) : NULL;
}

enum table_status maps_find(struct maps *maps, struct lookup *lookup, struct span key,
			    bool is_part, struct span *ret_value)
{
	if (key.n == 0)
		return TABLE_NOT_FOUND;
	for (size_t i = 0; i < maps->count; i++) {
		struct table *table = maps->tables[i];
		struct span value;

		if (is_part && table_is_pattern(table))
			continue;

		enum table_status status = table_lookup(table, lookup, key, &value);

		if (status == TABLE_NOT_FOUND)
			continue;
		if (status == TABLE_PENDING)
			return status;
		buf_reset(&maps->error);
		if (status == TABLE_ERROR) {
			buf_text(&maps->error, table_error(table));
			return status;
		}
		if (value.n == 0) {
			buf_printf(&maps->error,
				   "%s lookup of %.*s returns an empty string result",
				   table_name(table), SPAN_ARG(key));
			return TABLE_ERROR;
		}
		maps->origin = table;
		*ret_value = value;
		return TABLE_FOUND;
	}
	return TABLE_NOT_FOUND;
}

enum table_status maps_find_domain(struct maps *maps, struct lookup *lookup, struct span domain,
				   bool with_dots, struct span *ret_value)
{
	struct span name = domain;
	bool is_part = false;
	size_t dot;

	for (;;) {
		enum table_status status = maps_find(maps, lookup, name, is_part, ret_value);

		if (status != TABLE_NOT_FOUND)
			return status;
		is_part = true;
		/* Behind a first dot: that is the one that this key started with. */
		if (name.n == 0 || !span_chr(span_from(name, 1), '.', &dot))
			return TABLE_NOT_FOUND;
		name = span_from(name, 1 + dot + (with_dots ? 0 : 1));
	}
}

enum table_status maps_find_network(struct maps *maps, struct lookup *lookup,
				    struct span address, struct span *ret_value)
{
	char separator = span_has(address, ':') ? ':' : '.';
	struct span prefix = address;
	bool is_part = false;
	size_t at;

	for (;;) {
		enum table_status status = maps_find(maps, lookup, prefix, is_part, ret_value);

		if (status != TABLE_NOT_FOUND)
			return status;
		is_part = true;
		if (!span_rchr(prefix, separator, &at))
			return TABLE_NOT_FOUND;
		prefix = span_first(prefix, at);
	}
}
