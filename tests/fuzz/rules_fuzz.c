/* SPDX-License-Identifier: MIT */
/*
 * Rule tables: the first byte chooses cidr, regexp or pcre, the rest up to a NUL is the rules in
 * braces, what follows is the key.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "table/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * The C library's regcomp(3) writes repetitions out, so that a few nested ones fill the memory.
 * Rules are the administrator's own.
 */
static bool is_costly(struct span rules)
{
	size_t doublings = 0;

	for (size_t i = 0; i < rules.n; i++)
		doublings += rules.p[i] == '+';
	return doublings > 8 || span_has(rules, '{');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = { "cidr", "regexp", "pcre" };
	struct span input = { (const char *)data, size }, rules, key, value;
	struct buf error = BUF_INIT(4096);

	/* Long subjects make honest backtracking slow, which is no fault of ours. */
	if (size < 2 || size > 1000 || !span_cut(span_from(input, 1), '\0', &rules, &key))
		return 0;
	if (data[0] % 3 == 1 && is_costly(rules))
		return 0;

	char *name = mem_printf("%s:{{%.*s}}", types[data[0] % 3], SPAN_ARG(rules));
	struct table *table = table_open(name, TABLE_FOLD, &error);

	if (table != NULL && table_lookup(table, NULL, key, &value) == TABLE_FOUND &&
	    value.p[value.n] != '\0')
		abort();
	table_close(table);
	free(name);
	buf_done(&error);
	return 0;
}
