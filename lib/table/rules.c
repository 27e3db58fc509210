/* SPDX-License-Identifier: MIT */
/*
 * Rule tables, read from a file or from the name ("pcre:{ {/a/ b}, ... }"), with nested
 * if..endif; see rules.h, regexp_table(5), pcre_table(5), cidr_table(5). The rules are the
 * administrator's, keys come from the network.
 */

#include "table/rules.h"

#include <stdlib.h>

#include "base/lines.h"
#include "base/words.h"

enum { REASON_MAX = 4096 };

/* The state of reading one table. */
struct reader {
	struct rules_table *table;
	const struct rules_ops *ops;
	size_t *open_ifs; /* indexes of the ifs without endif yet */
	size_t open_count, open_room, rule_room;
	unsigned line;
	struct buf reason;
};

static struct rules_table *rules_of(struct table *table)
{
	return CONTAINER_OF(table, struct rules_table, base);
}

static bool is_inline(const struct table *table)
{
	return table->rest[0] == '{';
}

bool rules_open(struct table *table, struct buf *ret_error)
{
	struct span rest, rule;
	const char *reason;

	if (!is_inline(table)) {
		table->path = mem_dup_str(table->rest);
		return true;
	}

	bool is_well_formed = words_unbrace(span_of(table->rest), &rest, &reason);

	while (is_well_formed && (rule = words_next(&rest, WORDS_BLANK_OR_COMMA)).n > 0)
		is_well_formed = words_unbrace(rule, &rule, &reason);
	if (!is_well_formed)
		buf_printf(ret_error, "%s map: %s in \"%s\"", table->type->name, reason, table->rest);
	return is_well_formed;
}

/* The rules in the name, one a line, as if they were in a file. */
static void inline_text(const struct table *table, struct buf *ret_text)
{
	struct span rest, rule;
	const char *reason;

	if (!words_unbrace(span_of(table->rest), &rest, &reason))
		return;
	while ((rule = words_next(&rest, WORDS_BLANK_OR_COMMA)).n > 0) {
		if (words_unbrace(rule, &rule, &reason))
			buf_add(ret_text, rule);
		buf_char(ret_text, '\n');
	}
}

static void complain(const struct reader *reader, const char *what)
{
	const struct table *table = &reader->table->base;

	table_warn("%s map %s, line %u: %s", table->type->name, table->rest, reader->line, what);
}

static void skip_rule(struct reader *reader)
{
	buf_text(&reader->reason, ": skipping this rule");
	complain(reader, buf_str(&reader->reason));
}

static struct rule *add_rule(struct reader *reader, const struct rule *rule)
{
	struct rules_table *table = reader->table;

	if (table->count == reader->rule_room) {
		reader->rule_room = reader->rule_room > 0 ? reader->rule_room * 2 : 32;
		table->rules =
			mem_resize(table->rules, reader->rule_room * sizeof(*table->rules));
	}
	table->rules[table->count] = *rule;
	return &table->rules[table->count++];
}

static void open_if(struct reader *reader, struct span extra)
{
	if (extra.n > 0)
		complain(reader, "ignoring extra text after IF");
	if (reader->open_count == reader->open_room) {
		reader->open_room = reader->open_room > 0 ? reader->open_room * 2 : 8;
		reader->open_ifs = mem_resize(reader->open_ifs,
					      reader->open_room * sizeof(*reader->open_ifs));
	}
	reader->open_ifs[reader->open_count++] = reader->table->count - 1;
}

static void close_if(struct reader *reader, struct span extra)
{
	if (reader->open_count == 0) {
		complain(reader, "ignoring ENDIF without matching IF");
		return;
	}
	if (extra.n > 0)
		complain(reader, "ignoring extra text after ENDIF");
	reader->table->rules[reader->open_ifs[--reader->open_count]].end = reader->table->count;
}

/* The result behind a pattern. False after a reason: the rule is left out. */
static bool parse_result(struct reader *reader, struct rule *rule, struct span text,
			 size_t group_count)
{
	struct rules_table *table = reader->table;
	struct subst *result = &rule->result;

	if (text.n == 0) {
		if (!reader->ops->may_be_empty)
			return !buf_text(&reader->reason, "no lookup result");
		complain(reader, "no replacement text: using empty string");
	}
	text = arena_span(&table->arena, text);
	if (!reader->ops->has_subst) {
		result->parts = arena_alloc(&table->arena, sizeof(*result->parts));
		result->parts[0].text = text;
		result->count = 1;
		return true;
	}
	if (!subst_parse(text, &table->arena, result, &reader->reason))
		return false;
	if (result->highest_group == 0)
		return true;
	if (table->base.flags & TABLE_NO_SUBST)
		return !buf_text(&reader->reason, "regular expression substitution is not allowed");
	if (rule->is_negated)
		return !buf_text(&reader->reason, "$number found in negative match replacement text");
	if (result->highest_group > group_count)
		return !buf_printf(&reader->reason, "out of range replacement index \"%zu\"",
				   result->highest_group);
	if (result->highest_group >= table->group_count)
		table->group_count = result->highest_group + 1;
	return true;
}

/* rule = *"!" pattern [ blanks result ]; behind "if" there is no result. */
static void read_rule(struct reader *reader, struct span text, bool is_if)
{
	struct rule rule = { .is_if = is_if, .line = reader->line };
	size_t groups = 0;

	while (text.n > 0 && text.p[0] == '!') {
		rule.is_negated = !rule.is_negated;
		text = span_trim(span_from(text, 1));
	}
	if (!reader->ops->is_pattern(text)) {
		complain(reader, "ignoring unrecognized request");
		return;
	}
	rule.pattern = reader->ops->compile(reader->table, &text, &reader->reason, &groups);
	if (rule.pattern == NULL) {
		skip_rule(reader);
		return;
	}
	text = span_trim(text);
	if (!is_if && !parse_result(reader, &rule, text, groups)) {
		skip_rule(reader);
		if (reader->ops->free != NULL)
			reader->ops->free(rule.pattern);
		return;
	}
	add_rule(reader, &rule);
	if (is_if)
		open_if(reader, text);
}

/* "if" and "endif" are words of their own, in any case; a pattern may follow "if" at once. */
static bool is_word(struct span line, struct span word)
{
	return span_starts_nocase(line, word) && (line.n == word.n || !ascii_is_alnum(line.p[word.n]));
}

static void read_line(struct reader *reader, struct span line)
{
	buf_reset(&reader->reason);
	if (ascii_is_blank(line.p[0]))
		complain(reader, "logical line must not start with whitespace");
	else if (is_word(line, SPAN("if")))
		read_rule(reader, span_trim(span_from(line, 2)), true);
	else if (is_word(line, SPAN("endif")))
		close_if(reader, span_trim(span_from(line, 5)));
	else
		read_rule(reader, line, false);
}

static void read_rules(struct reader *reader, struct span text)
{
	struct rules_table *table = reader->table;
	struct lines lines;
	struct span line;

	lines_init(&lines, text);
	while (lines_next(&lines, &line, &reader->line))
		read_line(reader, line);
	lines_done(&lines);
	while (reader->open_count > 0) {
		size_t open = reader->open_ifs[--reader->open_count];

		reader->line = table->rules[open].line;
		complain(reader, "IF has no matching ENDIF");
		table->rules[open].end = table->count;
	}
}

bool rules_load(struct table *table, const struct rules_ops *ops)
{
	struct rules_table *rules = rules_of(table);
	struct reader reader = { .table = rules, .ops = ops };
	struct buf text = BUF_INIT(TABLE_FILE_MAX);
	bool is_read = true;

	if (is_inline(table))
		inline_text(table, &text);
	else
		is_read = table_read_file(table, &text);
	if (is_read) {
		buf_init(&reader.reason, REASON_MAX);
		rules->group_count = 1;
		read_rules(&reader, buf_span(&text));
		rules->groups = mem_array(rules->group_count, sizeof(*rules->groups));
		if (ops->ready != NULL)
			ops->ready(rules);
		buf_done(&reader.reason);
		free(reader.open_ifs);
	}
	buf_done(&text);
	return is_read;
}

void rules_close(struct table *table, const struct rules_ops *ops)
{
	struct rules_table *rules = rules_of(table);

	for (size_t i = 0; i < rules->count && ops->free != NULL; i++)
		ops->free(rules->rules[i].pattern);
	if (ops->close != NULL)
		ops->close(rules);
	free(rules->rules);
	free(rules->groups);
	arena_done(&rules->arena);
}

static enum table_status give_result(struct rules_table *rules, const struct rule *rule,
				     struct span *ret_value)
{
	struct table *table = &rules->base;

	if (rule->result.highest_group == 0 && rule->result.count == 1) {
		*ret_value = rule->result.parts[0].text;
		return TABLE_FOUND;
	}
	buf_reset(&table->value);
	if (!subst_expand(&rule->result, rules->groups, &table->value))
		return table_fail(table, "%s map %s, line %u: result is too long",
				  table->type->name, table->rest, rule->line);
	*ret_value = span_of(buf_str(&table->value));
	return TABLE_FOUND;
}

enum table_status rules_lookup(struct table *table, const struct rules_ops *ops, struct span key,
			       struct span *ret_value)
{
	struct rules_table *rules = rules_of(table);

	for (size_t i = 0; i < rules->count;) {
		const struct rule *rule = &rules->rules[i];
		size_t groups = rule->result.highest_group;
		enum rule_match match = ops->match(rules, rule, key, groups);
		bool is_hit = (match == RULE_HIT) != rule->is_negated;

		/* The rule may be there to refuse: who can make it fail must not get past it. */
		if (match == RULE_UNKNOWN)
			return TABLE_ERROR;
		if (is_hit && !rule->is_if)
			return give_result(rules, rule, ret_value);
		i = rule->is_if && !is_hit ? rule->end : i + 1;
	}
	return TABLE_NOT_FOUND;
}

bool rules_is_regexp(struct span rest)
{
	return rest.n > 0 && !ascii_is_alnum(rest.p[0]) && !ascii_is_blank(rest.p[0]);
}

bool rules_split_regexp(struct span *rest, struct span *ret_pattern, struct span *ret_flags,
			struct buf *ret_error)
{
	char delimiter = rest->p[0];
	size_t end = 1, behind;

	while (end < rest->n && rest->p[end] != delimiter)
		end += rest->p[end] == '\\' && end + 1 < rest->n ? 2 : 1;
	if (end >= rest->n) {
		buf_printf(ret_error, "no closing regexp delimiter \"%c\"", delimiter);
		return false;
	}
	for (behind = end + 1; behind < rest->n && !ascii_is_blank(rest->p[behind]);)
		behind++;
	*ret_pattern = span_from(span_first(*rest, end), 1);
	*ret_flags = span_from(span_first(*rest, behind), end + 1);
	*rest = span_from(*rest, behind);
	return true;
}
