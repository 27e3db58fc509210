/* SPDX-License-Identifier: MIT */
/* regexp: tables, POSIX regular expressions by the C library; regexp_table(5). */

#include <regex.h>
#include <stdlib.h>

#include "table/rules.h"

/* The letters behind a pattern each toggle one of these. */
static bool read_flags(struct span flags, int *ret_options, struct buf *ret_error)
{
	int options = REG_EXTENDED | REG_ICASE;

	for (size_t i = 0; i < flags.n; i++) {
		switch (flags.p[i]) {
		case 'i': options ^= REG_ICASE; break;
		case 'm': options ^= REG_NEWLINE; break;
		case 'x': options ^= REG_EXTENDED; break;
		default:
			buf_printf(ret_error, "unknown regexp option \"%c\"", flags.p[i]);
			return false;
		}
	}
	*ret_options = options;
	return true;
}

/* ---- how large a pattern becomes ---- */

/*
 * The C library copies what "+" or "{m,n}" stands behind, so that "a+++++" takes twice as much with each
 * plus sign, and one line of such signs all memory there is. So patterns are sized first. What several
 * signs behind one another mean is not defined (POSIX.1 XBD 9.4.6), and with many the library takes for ever.
 */
enum { NODES_MAX = 20000, NESTING_MAX = 200, ADJACENT_MAX = 3 };

struct sizing {
	uint64_t sums[NESTING_MAX]; /* of what stands in each open group */
	size_t depth;
	uint64_t last; /* the atom that a repetition would be about */
};

static void add_atom(struct sizing *sizing, uint64_t nodes)
{
	sizing->last = nodes;
	sizing->sums[sizing->depth] += nodes;
}

static void repeat(struct sizing *sizing, uint64_t times)
{
	if (times < 2)
		return;
	sizing->sums[sizing->depth] += sizing->last * (times - 1);
	sizing->last *= times;
}

/* The rest behind "{": how often at most; "{3,}" is one more than 3, as the library has it. */
static uint64_t take_bounds(struct span *rest)
{
	uint64_t numbers[2] = { 0, 0 };
	size_t index = 0;
	bool is_open = false;

	while (rest->n > 0 && rest->p[0] != '}' && rest->p[0] != '\\') {
		char c = rest->p[0];

		if (c == ',' && index == 0) {
			index = 1;
			is_open = true;
		} else if (ascii_is_digit(c) && numbers[index] < NODES_MAX) {
			numbers[index] = numbers[index] * 10 + (uint64_t)(c - '0');
			is_open = false;
		}
		*rest = span_from(*rest, 1);
	}
	return is_open ? numbers[0] + 1 : numbers[index];
}

/* The rest behind "[": a "]" that comes first, and those of classes, do not end it. */
static void skip_bracket(struct span *rest)
{
	size_t at = rest->n > 0 && rest->p[0] == '^' ? 2 : 1;

	while (at < rest->n && rest->p[at] != ']') {
		size_t end = at + 2;

		if (rest->p[at] == '[' && at + 1 < rest->n && span_has(SPAN(":.="), rest->p[at + 1])) {
			while (end + 1 < rest->n && !(rest->p[end] == rest->p[at + 1] && rest->p[end + 1] == ']'))
				end++;
			at = end + 1;
		}
		at++;
	}
	*rest = span_from(*rest, at < rest->n ? at + 1 : rest->n);
}

/* What the character at the front means; a letter for what stands for itself. */
static char take_token(struct span *rest, bool is_extended)
{
	static const char signs[] = "(){+?";
	char c = rest->p[0];
	bool is_escaped = c == '\\' && rest->n > 1;

	*rest = span_from(*rest, is_escaped ? 2 : 1);
	if (is_escaped)
		c = rest->p[-1];
	if (span_has(span_of(signs), c))
		return is_escaped != is_extended ? c : 'x';
	return is_escaped ? 'x' : c;
}

static bool is_too_large(struct span text, bool is_extended)
{
	struct sizing sizing = { .depth = 0 };
	unsigned adjacent = 0;

	while (text.n > 0) {
		uint64_t inside = sizing.sums[sizing.depth];
		char token = take_token(&text, is_extended);

		adjacent = span_has(SPAN("+{*?"), token) ? adjacent + 1 : 0;
		switch (token) {
		case '(':
			if (++sizing.depth == NESTING_MAX)
				return true;
			sizing.sums[sizing.depth] = 0;
			break;
		case ')':
			if (sizing.depth > 0) {
				sizing.depth--;
				add_atom(&sizing, inside + 1);
			}
			break;
		case '+': repeat(&sizing, 2); break;
		case '{': repeat(&sizing, take_bounds(&text)); break;
		case '*':
		case '?': break;
		case '[': skip_bracket(&text); add_atom(&sizing, 1); break;
		default: add_atom(&sizing, 1);
		}
		if (sizing.sums[sizing.depth] > NODES_MAX || adjacent > ADJACENT_MAX)
			return true;
	}
	return false;
}

/* ---- one rule ---- */

static void *regexp_compile(struct rules_table *table, struct span *rest, struct buf *ret_error,
			    size_t *ret_groups)
{
	struct span text, flags;
	int options;

	if (!rules_split_regexp(rest, &text, &flags, ret_error) ||
	    !read_flags(flags, &options, ret_error))
		return NULL;
	if (is_too_large(text, (options & REG_EXTENDED) != 0)) {
		buf_text(ret_error, "the pattern is too large");
		return NULL;
	}

	regex_t *regex = NEW(regex_t);
	int error = regcomp(regex, arena_str(&table->arena, text), options);

	if (error != 0) {
		char reason[256];

		(void)regerror(error, regex, reason, sizeof(reason));
		buf_text(ret_error, reason);
		free(regex);
		return NULL;
	}
	*ret_groups = regex->re_nsub;
	return regex;
}

static void regexp_free(void *pattern)
{
	regfree(pattern);
	free(pattern);
}

static void regexp_ready(struct rules_table *table)
{
	table->scratch = mem_array(table->group_count, sizeof(regmatch_t));
}

static enum rule_match regexp_match(struct rules_table *table, const struct rule *rule,
				    struct span key, size_t group_count)
{
	const regex_t *regex = rule->pattern;
	regmatch_t *found = table->scratch;
	int error = regexec(regex, key.p, group_count > 0 ? group_count + 1 : 0, found, 0);

	if (error == REG_NOMATCH)
		return RULE_MISS;
	if (error != 0) {
		(void)table_fail(&table->base, "regexp map %s, line %u: out of memory",
				 table->base.rest, rule->line);
		return RULE_UNKNOWN;
	}
	if (group_count == 0)
		return RULE_HIT;
	for (size_t i = 0; i <= group_count; i++) {
		bool has_matched = found[i].rm_so >= 0 && found[i].rm_eo >= found[i].rm_so;

		table->groups[i] = (struct span){ NULL, 0 };
		if (has_matched)
			table->groups[i] = span_from(span_first(key, (size_t)found[i].rm_eo),
						     (size_t)found[i].rm_so);
	}
	return RULE_HIT;
}

static void regexp_done(struct rules_table *table)
{
	free(table->scratch);
}

static const struct rules_ops regexp_rules = {
	.compile = regexp_compile,
	.match = regexp_match,
	.free = regexp_free,
	.ready = regexp_ready,
	.close = regexp_done,
	.is_pattern = rules_is_regexp,
	.has_subst = true,
	.may_be_empty = true,
};

static bool regexp_load(struct table *table)
{
	return rules_load(table, &regexp_rules);
}

static enum table_status regexp_lookup(struct table *table, struct lookup *lookup UNUSED,
				       struct span key, struct span *ret_value)
{
	return rules_lookup(table, &regexp_rules, key, ret_value);
}

static void regexp_close(struct table *table)
{
	rules_close(table, &regexp_rules);
}

static const struct table_ops regexp_ops = {
	.open = rules_open,
	.load = regexp_load,
	.lookup = regexp_lookup,
	.close = regexp_close,
};
const struct table_type table_type_regexp = { "regexp", CAN_JAIL | IS_PATTERN,
					      sizeof(struct rules_table), &regexp_ops };
