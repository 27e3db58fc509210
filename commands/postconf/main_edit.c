/* SPDX-License-Identifier: MIT */
/*
 * postconf -e, -# and -X: changing main.cf line by line, so that comments and the order of
 * settings stay as they are.
 */

#include "postconf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/edit.h"

struct change {
	struct span name, value;
	bool is_done;
};

struct main_editor {
	enum postconf_action action;
	struct change *changes;
	size_t count;
};

static void parse_change(enum postconf_action action, const char *argument, struct change *ret)
{
	const char *wrong;

	if (strpbrk(argument, "\r\n") != NULL)
		fatal("-e, -X, or -# accepts no multi-line input");
	if (span_starts(span_trim(span_of(argument)), SPAN("#")))
		fatal("-e, -X, or -# accepts no comment input");
	if (action != ACTION_EDIT) {
		if (strchr(argument, '=') != NULL)
			fatal("-X or -# takes names, not name=value: \"%s\"", argument);
		ret->name = span_trim(span_of(argument));
		return;
	}
	wrong = conf_assignment_parse(span_of(argument), &ret->name, &ret->value);
	if (wrong != NULL)
		fatal("%s: \"%s\"", wrong, argument);
}

static struct change *find_change(struct main_editor *editor, struct span line)
{
	struct span name, value;

	if (!span_cut(line, '=', &name, &value))
		return NULL;
	name = span_trim(name);
	/* The last one counts, as in a file. */
	for (size_t i = editor->count; i-- > 0;)
		if (span_eq(editor->changes[i].name, name))
			return &editor->changes[i];
	return NULL;
}

static void add_setting(struct buf *out, const struct change *change)
{
	buf_printf(out, "%.*s =%s%.*s\n", SPAN_ARG(change->name), change->value.n > 0 ? " " : "",
		   SPAN_ARG(change->value));
}

static void add_line(struct buf *out, const char *prefix, struct span line)
{
	buf_text(out, prefix);
	buf_add(out, line);
	buf_char(out, '\n');
}

/* The first line of a setting, one that is changed. */
static void change_line(struct main_editor *editor, struct change *change, struct span line,
			struct buf *out)
{
	if (editor->action == ACTION_COMMENT)
		add_line(out, "#", line);
	else if (editor->action == ACTION_EDIT && !change->is_done)
		add_setting(out, change);
	change->is_done = true;
}

static void apply_changes(struct main_editor *editor, struct span text, struct buf *out)
{
	struct change *current = NULL;
	struct span line;

	while (span_line(&text, &line)) {
		struct span trimmed = span_trim(line);

		if (trimmed.n == 0 || trimmed.p[0] == '#') {
			add_line(out, "", line);
		} else if (ascii_is_blank(line.p[0])) {
			if (current == NULL)
				add_line(out, "", line);
			else if (editor->action == ACTION_COMMENT)
				add_line(out, "#", line);
		} else {
			current = find_change(editor, line);
			if (current != NULL)
				change_line(editor, current, line, out);
			else
				add_line(out, "", line);
		}
	}
	for (size_t i = 0; i < editor->count && editor->action == ACTION_EDIT; i++) {
		struct change *change = &editor->changes[i];

		for (size_t j = i + 1; j < editor->count; j++)
			if (span_eq(editor->changes[j].name, change->name))
				change = &editor->changes[j];
		if (!change->is_done)
			add_setting(out, change);
		change->is_done = editor->changes[i].is_done = true;
	}
}

void edit_main(struct postconf *pc, char **args)
{
	struct main_editor editor = { .action = pc->action };
	struct buf out = BUF_INIT((size_t)CONF_FILE_MAX * 2);
	struct conf_edit edit;

	while (args[editor.count] != NULL)
		editor.count++;
	editor.changes = mem_array(editor.count, sizeof(*editor.changes));
	for (size_t i = 0; i < editor.count; i++)
		parse_change(pc->action, args[i], &editor.changes[i]);
	if (!conf_edit_begin(&edit, pc->main_path))
		fatal("open %s: %s", pc->main_path, strerror(errno));
	apply_changes(&editor, buf_span(&edit.text), &out);
	if (buf_is_over(&out)) {
		conf_edit_cancel(&edit);
		fatal("%s becomes too large", pc->main_path);
	}
	if (!conf_edit_commit(&edit, buf_span(&out)))
		fatal("write %s: %s", pc->main_path, strerror(errno));
	buf_done(&out);
	free(editor.changes);
}
