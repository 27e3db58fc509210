/* SPDX-License-Identifier: MIT */
/*
 * Tables made of tables: unionmap (all results, with commas between), pipemap (each result is
 * the key of the next table) and debug (one table, with a line about each lookup).
 * DATABASE_README. Names nest by braces; a limit keeps the nesting shallow.
 */

#include <stdlib.h>

#include "base/mem.h"
#include "base/words.h"
#include "table/backend.h"

enum { DEPTH_MAX = 8 };

struct combined_table {
	struct table base;
	struct table **members;
	size_t count;
};

static struct combined_table *combined_of(struct table *table)
{
	return CONTAINER_OF(table, struct combined_table, base);
}

/* How deep the braces of `name` nest: each level of tables in tables has one. */
static size_t brace_depth(struct span name)
{
	size_t depth = 0, deepest = 0;

	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '{')
			depth++;
		else if (name.p[i] == '}' && depth > 0)
			depth--;
		if (depth > deepest)
			deepest = depth;
	}
	return deepest;
}

static bool add_member(struct table *table, struct span name, struct buf *ret_error)
{
	struct combined_table *combined = combined_of(table);
	char *member_name = mem_dup(name);
	struct table *member = table_open(member_name, table->flags, ret_error);

	free(member_name);
	if (member == NULL)
		return false;
	combined->members = mem_resize(combined->members,
				       (combined->count + 1) * sizeof(*combined->members));
	combined->members[combined->count++] = member;
	return true;
}

static bool combined_open(struct table *table, struct buf *ret_error)
{
	struct span rest, name;
	const char *reason;
	bool is_well_formed = words_unbrace(span_of(table->rest), &rest, &reason) && rest.n > 0 &&
			      brace_depth(rest) < DEPTH_MAX;

	while (is_well_formed && (name = words_next(&rest, WORDS_BLANK_OR_COMMA)).n > 0) {
		is_well_formed = span_has(name, ':');
		if (is_well_formed && !add_member(table, name, ret_error))
			return false;
	}
	is_well_formed = is_well_formed && combined_of(table)->count > 0;
	if (!is_well_formed)
		buf_printf(ret_error, "bad syntax: \"%s\"; need \"%s:{type:name...}\"", table->name,
			   table->type->name);
	else
		table->is_pattern = table_is_pattern(combined_of(table)->members[0]);
	return is_well_formed;
}

static bool debug_open(struct table *table, struct buf *ret_error)
{
	if (span_starts(span_of(table->rest), SPAN("debug:"))) {
		buf_printf(ret_error, "bad syntax: \"%s\"; debug: tables do not nest", table->name);
		return false;
	}
	if (!add_member(table, span_of(table->rest), ret_error))
		return false;
	table->is_pattern = table_is_pattern(combined_of(table)->members[0]);
	return true;
}

static bool combined_has_changed(struct table *table)
{
	struct combined_table *combined = combined_of(table);

	for (size_t i = 0; i < combined->count; i++)
		if (table_has_changed(combined->members[i]))
			return true;
	return false;
}

static void combined_close(struct table *table)
{
	struct combined_table *combined = combined_of(table);

	for (size_t i = 0; i < combined->count; i++)
		table_close(combined->members[i]);
	free(combined->members);
}

/* Looks up in one member; its error becomes the error of the whole. */
static enum table_status ask_member(struct table *table, size_t index, struct lookup *lookup,
				    struct span key, struct span *ret_value)
{
	struct table *member = combined_of(table)->members[index];
	enum table_status status = table_lookup(member, lookup, key, ret_value);

	if (status == TABLE_ERROR)
		return table_fail(table, "%s", table_error(member));
	return status;
}

static enum table_status union_lookup(struct table *table, struct lookup *lookup,
				      struct span key, struct span *ret_value)
{
	struct span value;

	buf_reset(&table->value);
	for (size_t i = 0; i < combined_of(table)->count; i++) {
		enum table_status status = ask_member(table, i, lookup, key, &value);

		if (status == TABLE_ERROR || status == TABLE_PENDING)
			return status;
		if (status == TABLE_NOT_FOUND)
			continue;
		if (buf_span(&table->value).n > 0)
			buf_char(&table->value, ',');
		buf_add(&table->value, value);
	}
	if (buf_is_over(&table->value))
		return table_fail(table, "table %s: result is too long", table->name);
	*ret_value = buf_span(&table->value);
	return ret_value->n > 0 ? TABLE_FOUND : TABLE_NOT_FOUND;
}

static enum table_status pipe_lookup(struct table *table, struct lookup *lookup,
				     struct span key, struct span *ret_value)
{
	for (size_t i = 0; i < combined_of(table)->count; i++) {
		enum table_status status = ask_member(table, i, lookup, key, ret_value);

		if (status != TABLE_FOUND)
			return status;
		if (!buf_set(&table->value, *ret_value))
			return table_fail(table, "table %s: result is too long", table->name);
		key = *ret_value = buf_span(&table->value);
	}
	return TABLE_FOUND;
}

static enum table_status debug_lookup(struct table *table, struct lookup *lookup,
				      struct span key, struct span *ret_value)
{
	static const char *const outcomes[] = { "found", "not found", "error", "pending" };
	void (*trace)(const char *) = table_settings()->trace;
	enum table_status status = ask_member(table, 0, lookup, key, ret_value);

	if (trace != NULL) {
		struct buf line = BUF_INIT(TABLE_VALUE_MAX);

		buf_printf(&line, "%s lookup: \"%.*s\" = \"%.*s\"", table->name, SPAN_ARG(key),
			   SPAN_ARG(status == TABLE_FOUND ? *ret_value : span_of(outcomes[status])));
		trace(buf_str(&line));
		buf_done(&line);
	}
	return status;
}

static enum table_put debug_put(struct table *table, struct span key, struct span value)
{
	struct table *member = combined_of(table)->members[0];
	enum table_put done = table_put(member, key, value);

	if (done == TABLE_PUT_FAILED)
		(void)table_fail(table, "%s", table_error(member));
	return done;
}

static enum table_status debug_remove(struct table *table, struct span key)
{
	struct table *member = combined_of(table)->members[0];
	enum table_status status = table_delete(member, key);

	return status == TABLE_ERROR ? table_fail(table, "%s", table_error(member)) : status;
}

static bool debug_commit(struct table *table)
{
	struct table *member = combined_of(table)->members[0];

	if (table_commit(member))
		return true;
	(void)table_fail(table, "%s", table_error(member));
	return false;
}

static enum table_status debug_next(struct table *table, bool is_first, struct span *ret_key,
				    struct span *ret_value)
{
	struct table *member = combined_of(table)->members[0];
	enum table_status status = table_next(member, is_first, ret_key, ret_value);

	return status == TABLE_ERROR ? table_fail(table, "%s", table_error(member)) : status;
}

static const struct table_ops union_ops = {
	.open = combined_open,
	.lookup = union_lookup,
	.has_changed = combined_has_changed,
	.close = combined_close,
};

static const struct table_ops pipe_ops = {
	.open = combined_open,
	.lookup = pipe_lookup,
	.has_changed = combined_has_changed,
	.close = combined_close,
};

static const struct table_ops debug_ops = {
	.open = debug_open,
	.lookup = debug_lookup,
	.put = debug_put,
	.remove = debug_remove,
	.commit = debug_commit,
	.next = debug_next,
	.has_changed = combined_has_changed,
	.close = combined_close,
};

const struct table_type table_type_union = { "unionmap", CAN_JAIL, sizeof(struct combined_table),
					     &union_ops };
const struct table_type table_type_pipe = { "pipemap", CAN_JAIL, sizeof(struct combined_table),
					    &pipe_ops };
const struct table_type table_type_debug = { "debug", CAN_JAIL | CAN_CREATE | CAN_WRITE,
					     sizeof(struct combined_table), &debug_ops };
