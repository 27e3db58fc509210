/* SPDX-License-Identifier: MIT */
/*
 * Names of tables with the tables in them (inline, static, unionmap, pipemap, randmap ...), and
 * maps of several: NAME NUL KEY. No files are opened.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "table/maps.h"
#include "table/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = { (const char *)data, size }, name, key, value;
	struct buf error = BUF_INIT(1 << 20);

	/* Names of files have a "/"; a regular expression is for the target "rules". */
	if (size > 4096 || !span_cut(input, '\0', &name, &key) || span_has(name, '/'))
		return 0;

	char *text = mem_dup(name);
	struct table *table = table_open(text, TABLE_FOLD, &error);

	if (table != NULL && table_lookup(table, NULL, key, &value) == TABLE_FOUND &&
	    value.p[value.n] != '\0')
		abort();
	if (table != NULL)
		(void)table_has_changed(table);
	table_close(table);
	free(text);
	buf_done(&error);
	return 0;
}
