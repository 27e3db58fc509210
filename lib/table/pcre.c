/* SPDX-License-Identifier: MIT */
/*
 * pcre: tables, Perl-like regular expressions by PCRE2; pcre_table(5). Matching is bounded by
 * PCRE2's limits on steps and memory: when a pattern passes them the lookup fails, and mail
 * that depends on it waits. Patterns are compiled to machine code where the process may do that.
 */

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "base/log.h"
#include "table/rules.h"

enum { MATCH_STEPS_MAX = 10 * 1000 * 1000, MATCH_HEAP_KIB_MAX = 20 * 1000 };

struct matcher {
	pcre2_match_data *data;
	pcre2_match_context *context;
};

static bool read_flags(struct span flags, uint32_t *ret_options, struct buf *ret_error)
{
	uint32_t options = PCRE2_CASELESS | PCRE2_DOTALL;

	for (size_t i = 0; i < flags.n; i++) {
		switch (flags.p[i]) {
		case 'i': options ^= PCRE2_CASELESS; break;
		case 'm': options ^= PCRE2_MULTILINE; break;
		case 's': options ^= PCRE2_DOTALL; break;
		case 'x': options ^= PCRE2_EXTENDED; break;
		case 'A': options ^= PCRE2_ANCHORED; break;
		case 'E': options ^= PCRE2_DOLLAR_ENDONLY; break;
		case 'U': options ^= PCRE2_UNGREEDY; break;
		default:
			buf_printf(ret_error, "unknown regexp option \"%c\"", flags.p[i]);
			return false;
		}
	}
	*ret_options = options;
	return true;
}

static void *pcre_compile_rule(struct rules_table *table UNUSED, struct span *rest,
			       struct buf *ret_error, size_t *ret_groups)
{
	struct span text, flags;
	uint32_t options, groups = 0;
	PCRE2_SIZE offset;
	int error;

	if (!rules_split_regexp(rest, &text, &flags, ret_error) ||
	    !read_flags(flags, &options, ret_error))
		return NULL;

	pcre2_code *code = pcre2_compile((PCRE2_SPTR)text.p, text.n, options, &error, &offset, NULL);

	if (code == NULL) {
		PCRE2_UCHAR reason[256];

		(void)pcre2_get_error_message(error, reason, sizeof(reason));
		buf_printf(ret_error, "error in regex at offset %zu: %s", offset,
			   (const char *)reason);
		return NULL;
	}
	/* Without it matching is only slower. */
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	(void)pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
	*ret_groups = groups;
	return code;
}

static void pcre_free(void *pattern)
{
	pcre2_code_free(pattern);
}

static void pcre_ready(struct rules_table *table)
{
	struct matcher *matcher = NEW(struct matcher);

	matcher->data = pcre2_match_data_create((uint32_t)table->group_count, NULL);
	matcher->context = pcre2_match_context_create(NULL);
	if (matcher->data == NULL || matcher->context == NULL)
		fatal("out of memory");
	(void)pcre2_set_match_limit(matcher->context, MATCH_STEPS_MAX);
	(void)pcre2_set_heap_limit(matcher->context, MATCH_HEAP_KIB_MAX);
	table->scratch = matcher;
}

static void pcre_done(struct rules_table *table)
{
	struct matcher *matcher = table->scratch;

	if (matcher == NULL)
		return;
	pcre2_match_data_free(matcher->data);
	pcre2_match_context_free(matcher->context);
	free(matcher);
}

static int run(const struct matcher *matcher, const struct rule *rule, struct span key)
{
	int result = pcre2_match(rule->pattern, (PCRE2_SPTR)key.p, key.n, 0, 0, matcher->data,
				 matcher->context);

	/* The interpreter keeps its stack on the heap, and has more of it. */
	if (result == PCRE2_ERROR_JIT_STACKLIMIT)
		result = pcre2_match(rule->pattern, (PCRE2_SPTR)key.p, key.n, 0, PCRE2_NO_JIT,
				     matcher->data, matcher->context);
	return result;
}

static enum rule_match pcre_match_rule(struct rules_table *table, const struct rule *rule,
				       struct span key, size_t group_count)
{
	const struct matcher *matcher = table->scratch;
	int result = run(matcher, rule, key);

	if (result == PCRE2_ERROR_NOMATCH)
		return RULE_MISS;
	if (result < 0) {
		PCRE2_UCHAR reason[256];

		(void)pcre2_get_error_message(result, reason, sizeof(reason));
		(void)table_fail(&table->base, "pcre map %s, line %u: %s", table->base.rest,
				 rule->line, (const char *)reason);
		return RULE_UNKNOWN;
	}
	if (group_count == 0)
		return RULE_HIT;

	const PCRE2_SIZE *at = pcre2_get_ovector_pointer(matcher->data);

	for (size_t i = 0; i <= group_count; i++) {
		bool has_matched = at[2 * i] != PCRE2_UNSET && at[2 * i] <= at[2 * i + 1];

		table->groups[i] = (struct span){ NULL, 0 };
		if (has_matched)
			table->groups[i] = span_from(span_first(key, at[2 * i + 1]), at[2 * i]);
	}
	return RULE_HIT;
}

static const struct rules_ops pcre_rules = {
	.compile = pcre_compile_rule,
	.match = pcre_match_rule,
	.free = pcre_free,
	.ready = pcre_ready,
	.close = pcre_done,
	.is_pattern = rules_is_regexp,
	.has_subst = true,
	.may_be_empty = true,
};

static bool pcre_load(struct table *table)
{
	return rules_load(table, &pcre_rules);
}

static enum table_status pcre_lookup(struct table *table, struct lookup *lookup UNUSED,
				     struct span key, struct span *ret_value)
{
	return rules_lookup(table, &pcre_rules, key, ret_value);
}

static void pcre_close(struct table *table)
{
	rules_close(table, &pcre_rules);
}

static const struct table_ops pcre_ops = {
	.open = rules_open,
	.load = pcre_load,
	.lookup = pcre_lookup,
	.close = pcre_close,
};
const struct table_type table_type_pcre = { "pcre", CAN_JAIL | IS_PATTERN,
					    sizeof(struct rules_table), &pcre_ops };
