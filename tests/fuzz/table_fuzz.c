/* SPDX-License-Identifier: MIT */
/*
 * Names of tables with the tables in them (inline, static, unionmap, pipemap, randmap ...): NAME NUL
 * KEY. What a table lists it must find; what is put into one that can be changed is there until it
 * is removed. No files are opened.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "table/maps.h"
#include "table/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t traced;

static void on_trace(const char *text)
{
	if (text[0] == '\0')
		abort();
	traced++;
}

static void start(void)
{
	struct table_settings settings = table_settings_default();

	settings.trace = on_trace;
	table_setup(&settings);
}

static void check_lookup(struct table *table, struct span key)
{
	bool is_debug = span_starts(span_of(table_name(table)), SPAN("debug:"));
	size_t before = traced;
	struct span value;

	if (table_lookup(table, NULL, key, &value) == TABLE_FOUND && value.p[value.n] != '\0')
		abort();
	if (is_debug && key.n > 0 && !span_has(key, '\0') && traced == before)
		abort();
	(void)table_has_changed(table);
}

/* Each entry that the table lists is what a lookup of its key finds. Returns how many there are. */
static size_t check_list(struct table *table)
{
	struct span key, value, found;
	size_t count = 0;

	while (table_next(table, count == 0, &key, &value) == TABLE_FOUND) {
		char *copy = mem_dup(key), *expected = mem_dup(value);

		count++;
		if (table_lookup(table, NULL, span_of(copy), &found) != TABLE_FOUND ||
		    !span_is(found, expected))
			abort();
		free(copy);
		free(expected);
	}
	return count;
}

/* A table in memory, by itself or under debug: KEY is put into it, listed and removed. */
static void check_changes(const char *name, struct span key)
{
	struct buf error = BUF_INIT(1 << 20);
	struct table *table = table_open(name, TABLE_FOLD | TABLE_WRITE, &error);
	struct span value, first = span_first(key, key.n / 2);

	if (table == NULL) {
		buf_done(&error);
		return;
	}
	enum table_put done = table_put(table, key, SPAN("one"));

	if (done == TABLE_STORED) {
		if (table_put(table, key, SPAN("two")) != TABLE_DUPLICATE || !table_commit(table) ||
		    table_lookup(table, NULL, key, &value) != TABLE_FOUND || !span_is(value, "one"))
			abort();
		done = table_put(table, first, SPAN("half"));
		if (check_list(table) != (done == TABLE_STORED ? 2 : 1))
			abort();
		if (table_delete(table, key) != TABLE_FOUND || table_delete(table, key) != TABLE_NOT_FOUND ||
		    table_lookup(table, NULL, key, &value) != TABLE_NOT_FOUND)
			abort();
	} else if (table_error(table)[0] == '\0') {
		abort();
	}
	table_close(table);
	buf_done(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = { (const char *)data, size }, name, key;
	struct buf error = BUF_INIT(1 << 20);

	/* Names of files have a "/"; patterns, which take their time, are for the target "rules" as well. */
	if (size > 4096 || !span_cut(input, '\0', &name, &key) || span_has(name, '/'))
		return 0;
	if (table_settings_default().trace == NULL)
		start();

	char *text = mem_dup(name);
	struct table *table = table_open(text, TABLE_FOLD, &error);

	if (table != NULL) {
		check_lookup(table, key);
		(void)check_list(table);
	} else if (buf_span(&error).n == 0) {
		abort();
	}
	table_close(table);
	check_changes(text, key);
	free(text);
	buf_done(&error);
	return 0;
}
