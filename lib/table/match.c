/* SPDX-License-Identifier: MIT */
/*
 * Match lists; see match.h. The patterns are parsed once; a match compares, and asks tables
 * where the list has some. Lists are the administrator's, names and addresses a peer's.
 */

#include "table/match.h"

#include <stdlib.h>

#include "base/ip.h"
#include "base/lines.h"
#include "base/mem.h"
#include "base/words.h"
#include "table/backend.h"

enum { INCLUDE_DEPTH_MAX = 8, MATCH_ERROR_MAX = 4096 };

enum pattern_kind { PATTERN_TEXT, PATTERN_NET, PATTERN_TABLE, PATTERN_MALFORMED };

struct pattern {
	enum pattern_kind kind;
	bool is_negated;
	struct span text; /* as written, without "!"; the reason of a malformed one */
	struct ip_net net;
	struct table *table;
};

struct include {
	char *path;
	struct file_id id;
};

struct match_list {
	char *title;
	enum match_kind kind;
	unsigned flags;
	struct pattern *patterns;
	size_t count;
	struct include *includes;
	size_t include_count;
	struct arena arena; /* the texts */
	struct buf error;
};

/* A name or an address to be matched, the address parsed once. */
struct subject {
	struct span name;
	struct span address;
	struct ip_addr ip;
	bool has_ip;
};

static bool has_addresses(const struct match_list *list)
{
	return list->kind == MATCH_CLIENT || list->kind == MATCH_ADDRESS;
}

static void add_pattern(struct match_list *list, const struct pattern *pattern)
{
	list->patterns =
		mem_resize(list->patterns, (list->count + 1) * sizeof(*list->patterns));
	list->patterns[list->count++] = *pattern;
}

static void parse_net(struct match_list *list, struct pattern *pattern)
{
	struct buf reason = BUF_INIT(MATCH_ERROR_MAX);

	if (ip_net_parse(pattern->text, &pattern->net, &reason)) {
		pattern->kind = PATTERN_NET;
	} else {
		pattern->kind = PATTERN_MALFORMED;
		pattern->text = arena_span(&list->arena, buf_span(&reason));
		table_warn("%s: %s", list->title, buf_str(&reason));
	}
	buf_done(&reason);
}

/* type:table; an address in brackets has colons as well. */
static bool names_table(struct span text)
{
	return text.p[0] != '[' && span_has(text, ':');
}

/* Whether only an address pattern can look so. */
static bool looks_like_net(struct span text)
{
	struct ip_addr ip;

	return text.p[0] == '[' || span_has(text, '/') || ip_parse(text, &ip);
}

static bool parse_list(struct match_list *list, struct span text, bool is_negated, int depth,
		       struct buf *ret_error);

/* The patterns of a file, line by line, comments and continuation lines as in tables. */
static bool parse_file(struct match_list *list, struct span text, bool is_negated, int depth,
		       struct buf *ret_error)
{
	struct lines lines;
	struct span line;
	unsigned number;
	bool is_good = true;

	lines_init(&lines, text);
	while (is_good && lines_next(&lines, &line, &number))
		is_good = parse_list(list, line, is_negated, depth, ret_error);
	lines_done(&lines);
	return is_good;
}

static bool include_file(struct match_list *list, struct span path, bool is_negated, int depth,
			 struct buf *ret_error)
{
	struct include include = { .path = mem_dup(path) };
	struct buf text = BUF_INIT(TABLE_FILE_MAX);
	bool is_read = false;

	if (depth >= INCLUDE_DEPTH_MAX)
		buf_printf(ret_error, "%s: too many files within files: %s", list->title,
			   include.path);
	else
		is_read = file_read(include.path, &text, &include.id, ret_error);
	if (table_settings()->file != NULL)
		table_settings()->file(include.path);
	if (is_read) {
		list->includes = mem_resize(list->includes, (list->include_count + 1) *
								    sizeof(*list->includes));
		list->includes[list->include_count++] = include;
		is_read = parse_file(list, buf_span(&text), is_negated, depth + 1, ret_error);
	} else {
		free(include.path);
	}
	buf_done(&text);
	return is_read;
}

static bool parse_table(struct match_list *list, struct pattern *pattern, struct buf *ret_error)
{
	const char *name = arena_str(&list->arena, pattern->text);

	pattern->kind = PATTERN_TABLE;
	pattern->table = table_open(name, list->flags & ~(unsigned)MATCH_PARENTS, ret_error);
	return pattern->table != NULL;
}

static bool parse_pattern(struct match_list *list, struct span text, bool is_negated, int depth,
			  struct buf *ret_error)
{
	struct pattern pattern = { .kind = PATTERN_TEXT };

	while (text.n > 0 && text.p[0] == '!') {
		is_negated = !is_negated;
		text = span_from(text, 1);
	}
	if (text.n == 0) {
		buf_printf(ret_error, "%s: no pattern after '!'", list->title);
		return false;
	}
	if (text.p[0] == '/')
		return include_file(list, text, is_negated, depth, ret_error);
	pattern.is_negated = is_negated;
	pattern.text = arena_span(&list->arena, text);
	if (names_table(text)) {
		if (!parse_table(list, &pattern, ret_error))
			return false;
	} else if (list->kind == MATCH_ADDRESS || (has_addresses(list) && looks_like_net(text))) {
		parse_net(list, &pattern);
	}
	add_pattern(list, &pattern);
	return true;
}

static bool parse_list(struct match_list *list, struct span text, bool is_negated, int depth,
		       struct buf *ret_error)
{
	struct span word;

	while ((word = words_next(&text, WORDS_BLANK_OR_COMMA)).n > 0)
		if (!parse_pattern(list, word, is_negated, depth, ret_error))
			return false;
	return true;
}

struct match_list *match_open(const char *title, struct span text, enum match_kind kind,
			      unsigned flags, struct buf *ret_error)
{
	struct match_list *list = NEW(struct match_list);

	list->title = mem_dup_str(title);
	list->kind = kind;
	list->flags = flags;
	buf_init(&list->error, MATCH_ERROR_MAX);
	buf_reset(ret_error);
	if (parse_list(list, text, false, 0, ret_error))
		return list;
	match_close(list);
	return NULL;
}

void match_close(struct match_list *list)
{
	if (list == NULL)
		return;
	for (size_t i = 0; i < list->count; i++)
		table_close(list->patterns[i].table);
	for (size_t i = 0; i < list->include_count; i++)
		free(list->includes[i].path);
	free(list->patterns);
	free(list->includes);
	free(list->title);
	arena_done(&list->arena);
	buf_done(&list->error);
	free(list);
}

bool match_is_empty(const struct match_list *list)
{
	return list->count == 0;
}

bool match_has_changed(struct match_list *list)
{
	for (size_t i = 0; i < list->include_count; i++)
		if (!table_file_is(list->includes[i].path, &list->includes[i].id))
			return true;
	for (size_t i = 0; i < list->count; i++)
		if (list->patterns[i].table != NULL && table_has_changed(list->patterns[i].table))
			return true;
	return false;
}

const char *match_error(const struct match_list *list)
{
	return buf_str(&list->error);
}

static enum match_result fail(struct match_list *list, const char *reason)
{
	buf_reset(&list->error);
	buf_printf(&list->error, "%s: %s", list->title, reason);
	return MATCH_ERROR;
}

static enum match_result ask_table(struct match_list *list, struct table *table,
				   struct lookup *lookup, struct span key)
{
	struct span value;

	switch (table_lookup(table, lookup, key, &value)) {
	case TABLE_FOUND: return MATCH_YES;
	case TABLE_NOT_FOUND: return MATCH_NO;
	case TABLE_ERROR: return fail(list, table_error(table));
	case TABLE_PENDING: return MATCH_PENDING;
	}
	return MATCH_NO;
}

/* The name and, for domains, its parents: as the table's keys are written, with dot or not. */
static enum match_result name_in_table(struct match_list *list, struct table *table,
				       struct lookup *lookup, struct span name)
{
	size_t skip = (list->flags & MATCH_PARENTS) ? 1 : 0, dot;
	bool has_parents = list->kind != MATCH_STRING && !table_is_pattern(table);

	for (;;) {
		enum match_result result = ask_table(list, table, lookup, name);

		if (result != MATCH_NO || !has_parents || name.n == 0 ||
		    !span_chr(span_from(name, 1), '.', &dot))
			return result;
		name = span_from(name, 1 + dot + skip);
	}
}

static bool name_is_text(const struct match_list *list, struct span text, struct span name)
{
	if (span_eq_nocase(name, text))
		return true;
	if (list->kind == MATCH_STRING || !span_ends_nocase(name, text) || text.n == 0)
		return false;
	if (list->flags & MATCH_PARENTS)
		return text.p[0] != '.' && name.p[name.n - text.n - 1] == '.';
	return text.p[0] == '.';
}

/* Whether one pattern, "!" aside, matches. */
static enum match_result match_pattern(struct match_list *list, const struct pattern *pattern,
				       struct lookup *lookup, const struct subject *subject)
{
	enum match_result result = MATCH_NO;

	switch (pattern->kind) {
	case PATTERN_TEXT:
		return name_is_text(list, pattern->text, subject->name) ? MATCH_YES : MATCH_NO;
	case PATTERN_NET:
		return subject->has_ip && ip_net_has(&pattern->net, &subject->ip) ? MATCH_YES
										  : MATCH_NO;
	case PATTERN_TABLE:
		if (subject->name.n > 0)
			result = name_in_table(list, pattern->table, lookup, subject->name);
		if (result == MATCH_NO && subject->address.n > 0)
			result = ask_table(list, pattern->table, lookup, subject->address);
		return result;
	case PATTERN_MALFORMED:
		return fail(list, pattern->text.p);
	}
	return MATCH_NO;
}

static enum match_result match_subject(struct match_list *list, struct lookup *lookup,
				       const struct subject *subject)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct pattern *pattern = &list->patterns[i];
		enum match_result result = match_pattern(list, pattern, lookup, subject);

		if (result == MATCH_YES)
			return pattern->is_negated ? MATCH_NO : MATCH_YES;
		if (result != MATCH_NO)
			return result;
	}
	return MATCH_NO;
}

enum match_result match_name(struct match_list *list, struct lookup *lookup, struct span name)
{
	struct subject subject = { .name = name };

	return match_subject(list, lookup, &subject);
}

enum match_result match_client(struct match_list *list, struct lookup *lookup, struct span name,
			       struct span address)
{
	struct subject subject = { .address = address };

	if (list->kind == MATCH_CLIENT)
		subject.name = name;
	subject.has_ip = ip_parse(address, &subject.ip);
	return match_subject(list, lookup, &subject);
}
