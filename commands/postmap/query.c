/* SPDX-License-Identifier: MIT */
/* Asking, listing and shortening tables: options -q, -s, -d. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "commands/postmap/tool.h"

/* All tables of the command line, open, and a buffer for what is printed. */
struct session {
	const struct tool *tool;
	struct table **tables;
	size_t count;
	struct buf out;
	struct buf decoded;
	bool is_found;
};

static void open_session(struct session *session, const struct tool *tool, char **names,
			 unsigned flags)
{
	size_t count = 0;

	while (names[count] != NULL)
		count++;
	*session = (struct session){ .tool = tool,
				     .tables = mem_array(count, sizeof(*session->tables)) };
	buf_init(&session->out, 3 * (size_t)BUF_LIMIT_DEFAULT);
	buf_init(&session->decoded, BUF_LIMIT_DEFAULT);
	for (; session->count < count; session->count++)
		session->tables[session->count] = tool_open(names[session->count], flags);
}

static void close_session(struct session *session)
{
	for (size_t i = 0; i < session->count; i++)
		table_close(session->tables[i]);
	free(session->tables);
	buf_done(&session->out);
	buf_done(&session->decoded);
	if (fflush(stdout) != 0)
		fatal("write output: %s", strerror(errno));
}

/* The value as it is shown: with -F the text that it encodes. */
static struct span shown_value(struct session *session, const struct table *table,
			       struct span value)
{
	if (!session->tool->has_file_values)
		return value;
	buf_reset(&session->decoded);
	if (!base64_decode(&session->decoded, value))
		fatal("table %s: malformed BASE64 value: %.30s", table_name(table), value.p);
	return buf_span(&session->decoded);
}

/* One line: {"key": "value"} with -j, the value alone, or key and value. */
static void print_entry(struct session *session, const struct table *table, struct span key,
			struct span value, bool with_key)
{
	struct buf *out = &session->out;

	value = shown_value(session, table, value);
	buf_reset(out);
	if (session->tool->wants_json) {
		buf_char(out, '{');
		json_string(out, key);
		buf_text(out, ": ");
		json_string(out, value);
		buf_char(out, '}');
	} else {
		if (with_key) {
			buf_add(out, key);
			buf_text(out, session->tool->format->separator);
		}
		buf_add(out, value);
	}
	buf_char(out, '\n');
	(void)fwrite(buf_str(out), 1, buf_span(out).n, stdout);
}

/* The first table that has the key decides. */
static bool ask_tables(struct session *session, struct span key, bool with_key)
{
	for (size_t i = 0; i < session->count; i++) {
		struct table *table = session->tables[i];
		struct span value;

		switch (table_lookup(table, NULL, key, &value)) {
		case TABLE_FOUND:
			if (value.n == 0)
				log_warn("table %s: key %.*s: empty string result is not allowed",
					 table_name(table), SPAN_ARG(key));
			print_entry(session, table, key, value, with_key);
			return true;
		case TABLE_NOT_FOUND:
		case TABLE_PENDING: break;
		case TABLE_ERROR: fatal("%s", table_error(table));
		}
	}
	return false;
}

/* Calls `each` with every line of standard input, without its line end. */
static void for_each_line(struct session *session, void (*each)(void *context, struct span line))
{
	char *line = NULL;
	size_t room = 0;
	ssize_t size;

	while ((size = getline(&line, &room, stdin)) >= 0) {
		struct span key = { line, (size_t)size };

		if (key.n > 0 && key.p[key.n - 1] == '\n')
			key.n--;
		each(session, key);
	}
	free(line);
	if (ferror(stdin))
		fatal("read standard input: %s", strerror(errno));
}

static void ask_line(void *context, struct span key)
{
	struct session *session = context;

	session->is_found |= ask_tables(session, key, true);
}

bool query_key(const struct tool *tool, char **names)
{
	struct session session;

	open_session(&session, tool, names, tool_flags(tool));
	session.is_found = ask_tables(&session, span_of(tool->query), false);
	close_session(&session);
	return session.is_found;
}

bool query_stream(const struct tool *tool, char **names)
{
	struct session session;

	open_session(&session, tool, names, tool_flags(tool));
	if (tool->wants_headers || tool->wants_body)
		message_walk(tool, ask_line, &session);
	else
		for_each_line(&session, ask_line);
	close_session(&session);
	return session.is_found;
}

static void remove_line(void *context, struct span key)
{
	struct session *session = context;

	for (size_t i = 0; i < session->count; i++) {
		enum table_status status = table_delete(session->tables[i], key);

		if (status == TABLE_ERROR)
			fatal("%s", table_error(session->tables[i]));
		session->is_found |= status == TABLE_FOUND;
	}
}

bool remove_keys(const struct tool *tool, char **names)
{
	struct session session;

	open_session(&session, tool, names, tool_flags(tool) | TABLE_WRITE);
	if (strcmp(tool->remove, "-") == 0)
		for_each_line(&session, remove_line);
	else
		remove_line(&session, span_of(tool->remove));
	for (size_t i = 0; i < session.count; i++)
		if (!table_commit(session.tables[i]))
			fatal("%s", table_error(session.tables[i]));
	close_session(&session);
	return session.is_found;
}

void list_tables(const struct tool *tool, char **names)
{
	struct session session;

	open_session(&session, tool, names, tool_flags(tool));
	for (size_t i = 0; i < session.count; i++) {
		struct table *table = session.tables[i];
		struct span key, value;
		enum table_status status = table_next(table, true, &key, &value);

		for (; status == TABLE_FOUND; status = table_next(table, false, &key, &value))
			print_entry(&session, table, key, value, true);
		if (status == TABLE_ERROR)
			fatal("%s", table_error(table));
	}
	close_session(&session);
}
