/* SPDX-License-Identifier: MIT */
/* regexp: tables, POSIX regular expressions by the C library; regexp_table(5). */

#include <regex.h>
#include <stdlib.h>

#include "table/regexp_cost.h"
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

static void *regexp_compile(struct rules_table *table, struct span *rest, struct buf *ret_error,
			    size_t *ret_groups)
{
	struct span text, flags;
	const char *wrong;
	int options;

	if (!rules_split_regexp(rest, &text, &flags, ret_error) ||
	    !read_flags(flags, &options, ret_error))
		return NULL;
	wrong = regexp_find_cost(text, (options & REG_EXTENDED) != 0);
	if (wrong != NULL) {
		buf_text(ret_error, wrong);
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
