/* SPDX-License-Identifier: MIT */
/* NUL rules of indexed files; see database.h. */

#include "table/database.h"

struct nul_rule nul_rule_of(const struct table *table)
{
	return (struct nul_rule){ .may_have_nul = !(table->flags & TABLE_WITHOUT_NUL),
				  .may_lack_nul = !(table->flags & TABLE_WITH_NUL) };
}

bool nul_rule_writes(struct nul_rule rule, bool is_default)
{
	return rule.may_have_nul && rule.may_lack_nul ? is_default : rule.may_have_nul;
}

struct span database_text(const void *data, size_t size)
{
	struct span text = { data, size };

	if (size > 0 && text.p[size - 1] == '\0')
		text.n--;
	return text;
}

enum table_status database_value(struct table *table, const void *data, size_t size,
				 struct span *ret_value)
{
	if (!buf_set(&table->value, database_text(data, size)))
		return table_fail(table, "table %s: value is too long", table->name);
	*ret_value = span_of(buf_str(&table->value));
	return TABLE_FOUND;
}
