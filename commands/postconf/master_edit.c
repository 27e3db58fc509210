/* SPDX-License-Identifier: MIT */
/*
 * postconf -M, -F and -P with -e, -# or -X: changing entries of master.cf. Entries that are not
 * touched, comments and the order stay as they are; a changed entry is written anew, folded.
 */

#include "postconf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/edit.h"

struct master_editor {
	struct postconf *pc;
	struct master_pattern *patterns;
	size_t count;
	struct master_cf table; /* of the text being edited */
};

static void log_problem(void *context, const struct conf_problem *problem)
{
	(void)context;
	if (problem->severity == CONF_IS_ERROR)
		fatal("%s", conf_problem_text(problem));
}

static struct conf_report strict = { .report = log_problem };

/* A service made from the text of an entry; fatal when it is malformed. The caller frees. */
static struct master_cf parse_entry(const char *what, struct span text)
{
	struct master_cf table = { .file = mem_dup_str(what) };

	master_cf_parse(&table, text, &strict);
	if (table.count != 1)
		fatal("%s: expected one entry, service type private unprivileged chroot wakeup "
		      "process_limit command [arguments]", what);
	return table;
}

/* Writes a service with the given columns and words, checked by parsing it again. */
static void put_entry(struct buf *out, const struct master_service *service, const char *what)
{
	struct buf text = BUF_INIT(CONF_FILE_MAX);
	struct master_cf table;

	format_service(&text, service, true);
	table = parse_entry(what, buf_span(&text));
	format_service(out, table.services[0], true);
	master_cf_done(&table);
	buf_done(&text);
}

static void replace(char **at, const char *text)
{
	free(*at);
	*at = mem_dup_str(text);
}

/* The command column is program and arguments together. */
static void set_command(struct master_service *service, const struct master_pattern *pattern)
{
	struct buf text = BUF_INIT(CONF_FILE_MAX);
	struct master_service *parsed;
	struct master_cf table;
	char **words;
	int count;

	for (int i = 0; i < MASTER_COL_COMMAND; i++)
		buf_printf(&text, "%s ", service->columns[i]);
	buf_printf(&text, "%s\n", pattern->value);
	table = parse_entry(pattern->text, buf_span(&text));
	parsed = table.services[0];
	replace(&service->command, parsed->command);
	/* The two change words, so that the old ones are freed with the parsed entry. */
	words = service->words;
	count = service->word_count;
	service->words = parsed->words;
	service->word_count = parsed->word_count;
	parsed->words = words;
	parsed->word_count = count;
	master_cf_done(&table);
	buf_done(&text);
}

/* -Fe: one column, or all with "*". */
static void set_field(struct master_service *service, const struct master_pattern *pattern)
{
	if (pattern->value[0] == '\0')
		fatal("empty value in \"%s\"", pattern->text);
	for (int i = 0; i < MASTER_COL_COUNT; i++) {
		if (!pattern_takes(pattern->rest, master_column_names[i]))
			continue;
		if (i == MASTER_COL_COMMAND) {
			set_command(service, pattern);
			continue;
		}
		if (strpbrk(pattern->value, " \t") != NULL)
			fatal("whitespace in value of \"%s\"", pattern->text);
		replace(&service->columns[i], pattern->value);
	}
}

/* Where the options of the daemon end, and the word of "-o NAME=..." or -1. */
static int find_override(const struct master_service *service, const char *name, int *ret_end)
{
	int found = -1, i = 0;

	while (i < service->word_count && service->words[i][0] == '-') {
		if (strcmp(service->words[i], "-o") == 0 && i + 1 < service->word_count) {
			struct span left, right;

			if (span_cut(span_of(service->words[i + 1]), '=', &left, &right) &&
			    span_is(left, name))
				found = i;
			i++;
		}
		i++;
	}
	*ret_end = i;
	return found;
}

static void remove_words(struct master_service *service, int at, int count)
{
	for (int i = at; i < at + count; i++)
		free(service->words[i]);
	memmove(&service->words[at], &service->words[at + count],
		(size_t)(service->word_count - at - count + 1) * sizeof(char *));
	service->word_count -= count;
}

/* -Pe: sets "-o name=value"; of several settings the last, which counts. */
static void set_param(struct master_service *service, const struct master_pattern *pattern)
{
	int end, at = find_override(service, pattern->rest, &end);
	char *setting;

	if (strcmp(pattern->rest, "*") == 0)
		fatal("\"%s\": expected the name of a parameter", pattern->text);
	setting = mem_printf("%s=%s", pattern->rest, pattern->value);
	if (at >= 0) {
		free(service->words[at + 1]);
		service->words[at + 1] = setting;
		return;
	}
	service->words = mem_resize(service->words,
				    (size_t)(service->word_count + 3) * sizeof(char *));
	memmove(&service->words[end + 2], &service->words[end],
		(size_t)(service->word_count - end) * sizeof(char *));
	service->words[end] = mem_dup_str("-o");
	service->words[end + 1] = setting;
	service->word_count += 2;
	service->words[service->word_count] = NULL;
}

/* -PX: returns whether there was such a setting. */
static bool remove_param(struct master_service *service, const struct master_pattern *pattern)
{
	bool is_changed = false;
	int end, at;

	if (strcmp(pattern->rest, "*") == 0)
		fatal("\"%s\": expected the name of a parameter", pattern->text);
	while ((at = find_override(service, pattern->rest, &end)) >= 0) {
		remove_words(service, at, 2);
		is_changed = true;
	}
	return is_changed;
}

static void put_commented(struct buf *out, struct span source)
{
	struct span line;

	while (span_line(&source, &line)) {
		struct span trimmed = span_trim(line);

		if (trimmed.n > 0 && trimmed.p[0] != '#')
			buf_char(out, '#');
		buf_add(out, line);
		buf_char(out, '\n');
	}
}

/* The comments between the lines of an entry that is written anew. */
static void put_comments(struct buf *out, struct span source)
{
	struct span line;

	while (span_line(&source, &line)) {
		struct span trimmed = span_trim(line);

		if (trimmed.n > 0 && trimmed.p[0] == '#') {
			buf_add(out, line);
			buf_char(out, '\n');
		}
	}
}

enum outcome { UNTOUCHED, CHANGED, COMMENTED, REMOVED };

/* Applies one pattern to a service that it chooses. */
static enum outcome apply(struct master_editor *editor, struct master_pattern *pattern,
			  struct master_service *service, struct buf *ret_entry)
{
	enum postconf_target target = editor->pc->target;
	struct master_cf table;

	if (editor->pc->action == ACTION_COMMENT)
		return COMMENTED;
	if (target == TARGET_SERVICES) {
		if (editor->pc->action == ACTION_REMOVE || pattern->matches > 0)
			return REMOVED;
		table = parse_entry(pattern->text, span_of(pattern->value));
		buf_reset(ret_entry);
		format_service(ret_entry, table.services[0], true);
		master_cf_done(&table);
		return CHANGED;
	}
	if (target == TARGET_FIELDS)
		set_field(service, pattern);
	else if (editor->pc->action == ACTION_EDIT)
		set_param(service, pattern);
	else if (!remove_param(service, pattern))
		return UNTOUCHED;
	buf_reset(ret_entry);
	put_entry(ret_entry, service, pattern->text);
	return CHANGED;
}

static void edit_service(struct master_editor *editor, struct master_service *service,
			 struct buf *out)
{
	struct buf entry = BUF_INIT(CONF_FILE_MAX);
	enum outcome outcome = UNTOUCHED;

	for (size_t i = 0; i < editor->count; i++) {
		struct master_pattern *pattern = &editor->patterns[i];
		enum outcome last;

		if (!pattern_takes_service(pattern, service))
			continue;
		last = apply(editor, pattern, service, &entry);
		pattern->matches += last != UNTOUCHED;
		outcome = last > outcome ? last : outcome;
	}
	switch (outcome) {
	case UNTOUCHED:
		buf_add(out, service->source);
		break;
	case CHANGED:
		put_comments(out, service->source);
		buf_add(out, buf_span(&entry));
		break;
	case COMMENTED:
		put_commented(out, service->source);
		break;
	case REMOVED:
		put_comments(out, service->source);
		break;
	}
	buf_done(&entry);
}

/* Entries of -Me that replaced none go to the end. */
static void append_new(struct master_editor *editor, struct buf *out)
{
	for (size_t i = 0; i < editor->count; i++) {
		struct master_pattern *pattern = &editor->patterns[i];
		struct master_cf table;

		if (pattern->matches > 0)
			continue;
		if (editor->pc->target != TARGET_SERVICES || editor->pc->action != ACTION_EDIT) {
			log_warn("unmatched request: \"%s\"", pattern->text);
			continue;
		}
		table = parse_entry(pattern->text, span_of(pattern->value));
		format_service(out, table.services[0], true);
		master_cf_done(&table);
	}
}

static void edit_text(struct master_editor *editor, struct span text, struct buf *out)
{
	const char *at = text.p, *end = text.p + text.n;

	for (size_t i = 0; i < editor->table.count; i++) {
		struct master_service *service = editor->table.services[i];

		buf_append(out, at, (size_t)(service->source.p - at));
		at = service->source.p + service->source.n;
		edit_service(editor, service, out);
	}
	buf_append(out, at, (size_t)(end - at));
	if (buf_span(out).n > 0 && !span_ends(buf_span(out), SPAN("\n")))
		buf_char(out, '\n');
	append_new(editor, out);
}

static void parse_patterns(struct master_editor *editor, char **args)
{
	enum postconf_target target = editor->pc->target;

	while (args[editor->count] != NULL)
		editor->count++;
	editor->patterns = mem_array(editor->count, sizeof(*editor->patterns));
	for (size_t i = 0; i < editor->count; i++) {
		struct master_pattern *pattern = &editor->patterns[i];

		if (strpbrk(args[i], "\r\n") != NULL)
			fatal("-e, -X, or -# accepts no multi-line input");
		if (editor->pc->action != ACTION_EDIT && strchr(args[i], '=') != NULL)
			fatal("-X or -# takes names, not name=value: \"%s\"", args[i]);
		pattern_init(pattern, args[i], target == TARGET_SERVICES ? 2 : 3, true,
			     editor->pc->action == ACTION_EDIT);
		if (target == TARGET_FIELDS && strcmp(pattern->rest, "*") != 0)
			(void)column_find(pattern->rest);
	}
}

void edit_master(struct postconf *pc, char **args)
{
	struct master_editor editor = { .pc = pc };
	struct buf out = BUF_INIT((size_t)CONF_FILE_MAX * 2);
	struct conf_edit edit;

	parse_patterns(&editor, args);
	if (!conf_edit_begin(&edit, pc->master_path))
		fatal("open %s: %s", pc->master_path, strerror(errno));
	editor.table.file = mem_dup_str(pc->master_path);
	master_cf_parse(&editor.table, buf_span(&edit.text), &strict);
	edit_text(&editor, buf_span(&edit.text), &out);
	if (buf_is_over(&out)) {
		conf_edit_cancel(&edit);
		fatal("%s becomes too large", pc->master_path);
	}
	if (!conf_edit_commit(&edit, buf_span(&out)))
		fatal("write %s: %s", pc->master_path, strerror(errno));
	for (size_t i = 0; i < editor.count; i++)
		pattern_done(&editor.patterns[i]);
	free(editor.patterns);
	master_cf_done(&editor.table);
	buf_done(&out);
}
