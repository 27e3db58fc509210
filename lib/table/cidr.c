/* SPDX-License-Identifier: MIT */
/* cidr: tables, networks and addresses; cidr_table(5). */

#include "base/ip.h"
#include "table/rules.h"

static void *cidr_compile(struct rules_table *table, struct span *rest, struct buf *ret_error,
			  size_t *ret_groups UNUSED)
{
	struct span pattern = span_word(rest, " \t\r\n");
	struct ip_net net, *kept;

	if (!ip_net_parse(pattern, &net, ret_error))
		return NULL;
	kept = arena_alloc(&table->arena, sizeof(*kept));
	*kept = net;
	return kept;
}

static bool cidr_is_pattern(struct span rest UNUSED)
{
	return true;
}

/* The address is parsed once a lookup, into table->scratch. */
static enum rule_match cidr_match(struct rules_table *table, const struct rule *rule,
				  struct span key UNUSED, size_t group_count UNUSED)
{
	return ip_net_has(rule->pattern, table->scratch) ? RULE_HIT : RULE_MISS;
}

static const struct rules_ops cidr_rules = {
	.compile = cidr_compile,
	.match = cidr_match,
	.is_pattern = cidr_is_pattern,
};

static bool cidr_load(struct table *table)
{
	return rules_load(table, &cidr_rules);
}

static enum table_status cidr_lookup(struct table *table, struct lookup *lookup UNUSED,
				     struct span key, struct span *ret_value)
{
	struct ip_addr addr;

	if (!ip_parse(key, &addr))
		return TABLE_NOT_FOUND;
	CONTAINER_OF(table, struct rules_table, base)->scratch = &addr;

	enum table_status status = rules_lookup(table, &cidr_rules, key, ret_value);

	CONTAINER_OF(table, struct rules_table, base)->scratch = NULL;
	return status;
}

static void cidr_close(struct table *table)
{
	rules_close(table, &cidr_rules);
}

static const struct table_ops cidr_ops = {
	.open = rules_open,
	.load = cidr_load,
	.lookup = cidr_lookup,
	.close = cidr_close,
};
const struct table_type table_type_cidr = { "cidr", CAN_JAIL | IS_PATTERN,
					    sizeof(struct rules_table), &cidr_ops };
