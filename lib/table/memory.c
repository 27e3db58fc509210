/* SPDX-License-Identifier: MIT */
/*
 * Tables that live in memory: texthash (a source file, read whole), inline (the entries are in
 * the name) and internal (empty at first, lost at the end of the process). DATABASE_README.
 */

#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "base/lines.h"
#include "base/mem.h"
#include "base/words.h"
#include "table/backend.h"
#include "table/source.h"

struct memory_table {
	struct table base;
	struct htab entries; /* key -> value as C string */
	struct htab_slot *cursor;
};

static struct memory_table *memory_of(struct table *table)
{
	return CONTAINER_OF(table, struct memory_table, base);
}

static enum table_status memory_lookup(struct table *table, struct lookup *lookup UNUSED,
				       struct span key, struct span *ret_value)
{
	const char *value = htab_get(&memory_of(table)->entries, key);

	if (value == NULL)
		return TABLE_NOT_FOUND;
	*ret_value = span_of(value);
	return TABLE_FOUND;
}

static enum table_put memory_put(struct table *table, struct span key, struct span value)
{
	struct memory_table *memory = memory_of(table);

	if (!(table->flags & TABLE_REPLACE) && htab_get(&memory->entries, key) != NULL)
		return TABLE_DUPLICATE;
	free(htab_put(&memory->entries, key, mem_dup(value)));
	return TABLE_STORED;
}

static enum table_status memory_remove(struct table *table, struct span key)
{
	char *value = htab_remove(&memory_of(table)->entries, key);

	free(value);
	return value != NULL ? TABLE_FOUND : TABLE_NOT_FOUND;
}

static enum table_status memory_next(struct table *table, bool is_first, struct span *ret_key,
				     struct span *ret_value)
{
	struct memory_table *memory = memory_of(table);
	void *value;

	if (is_first)
		memory->cursor = NULL;
	if (!htab_next(&memory->entries, &memory->cursor, ret_key, &value))
		return TABLE_NOT_FOUND;
	*ret_value = span_of(value);
	return TABLE_FOUND;
}

static void memory_close(struct table *table)
{
	htab_done(&memory_of(table)->entries, free);
}

static bool internal_open(struct table *table UNUSED, struct buf *ret_error UNUSED)
{
	return true;
}

static bool texthash_open(struct table *table, struct buf *ret_error UNUSED)
{
	table->path = mem_dup_str(table->rest);
	return true;
}

static void texthash_add(struct table *table, unsigned number, struct span line)
{
	struct memory_table *memory = memory_of(table);
	struct span key, value;

	if (!source_split(table->path, number, line, &key, &value) ||
	    !table_fold(table, key, &table->key))
		return;
	if (htab_get(&memory->entries, buf_span(&table->key)) != NULL)
		table_warn("%s, line %u: duplicate entry: \"%.*s\"", table->path, number,
			   SPAN_ARG(key));
	else
		htab_put(&memory->entries, buf_span(&table->key), mem_dup(value));
}

static bool texthash_load(struct table *table)
{
	struct buf text = BUF_INIT(TABLE_FILE_MAX);
	bool is_read = table_read_file(table, &text);

	if (is_read) {
		struct lines lines;
		struct span line;
		unsigned number;

		lines_init(&lines, buf_span(&text));
		while (lines_next(&lines, &line, &number))
			texthash_add(table, number, line);
		lines_done(&lines);
	}
	buf_done(&text);
	return is_read;
}

/* element = name "=" value / "{" blanks name blanks "=" blanks value blanks "}" */
static bool inline_add(struct table *table, struct span element, struct buf *ret_error)
{
	struct span name, value;
	const char *reason;

	if (element.p[0] == '{' && !words_unbrace(element, &element, &reason)) {
		buf_printf(ret_error, "%s in \"%s\"; need \"inline:{name=value...}\"", reason,
			   table->name);
		return false;
	}
	bool has_value = span_cut(element, '=', &name, &value);

	if (has_value)
		name = span_trim(name);
	if (!has_value || name.n == 0 || span_has(name, ' ') || span_has(name, '\t')) {
		buf_printf(ret_error, "missing %s: \"%s\"; need \"inline:{name=value...}\"",
			   has_value && name.n == 0 ? "attribute name" : "'=' after attribute name",
			   table->name);
		return false;
	}
	if (table_fold(table, name, &table->key))
		free(htab_put(&memory_of(table)->entries, buf_span(&table->key),
			      mem_dup(span_trim(value))));
	return true;
}

static bool inline_open(struct table *table, struct buf *ret_error)
{
	struct span rest, element;
	const char *reason;

	if (!words_unbrace(span_of(table->rest), &rest, &reason) || rest.n == 0) {
		buf_printf(ret_error, "bad syntax: \"%s\"; need \"inline:{name=value...}\"",
			   table->name);
		return false;
	}
	while ((element = words_next(&rest, WORDS_BLANK_OR_COMMA)).n > 0)
		if (!inline_add(table, element, ret_error))
			return false;
	return true;
}

static const struct table_ops texthash_ops = {
	.open = texthash_open,
	.load = texthash_load,
	.lookup = memory_lookup,
	.next = memory_next,
	.close = memory_close,
};

static const struct table_ops inline_ops = {
	.open = inline_open,
	.lookup = memory_lookup,
	.next = memory_next,
	.close = memory_close,
};

static const struct table_ops internal_ops = {
	.open = internal_open,
	.lookup = memory_lookup,
	.put = memory_put,
	.remove = memory_remove,
	.next = memory_next,
	.close = memory_close,
};

const struct table_type table_type_texthash = { "texthash", CAN_JAIL,
						sizeof(struct memory_table), &texthash_ops };
const struct table_type table_type_inline = { "inline", CAN_JAIL, sizeof(struct memory_table),
					      &inline_ops };
const struct table_type table_type_internal = { "internal", CAN_JAIL | CAN_WRITE,
						sizeof(struct memory_table), &internal_ops };
