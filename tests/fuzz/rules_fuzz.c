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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = { "cidr", "regexp", "pcre" };
	struct span input = { (const char *)data, size }, rules, key, value;
	struct buf error = BUF_INIT(4096);

	/* Long subjects make honest backtracking slow, which is no fault of ours. */
	if (size < 2 || size > 1000 || !span_cut(span_from(input, 1), '\0', &rules, &key))
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
