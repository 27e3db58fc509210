/* SPDX-License-Identifier: MIT */
#ifndef TABLE_SOURCE_H
#define TABLE_SOURCE_H

/* The source format of indexed tables, "key whitespace value" (postmap(1)). */

#include "base/span.h"

/*
 * Splits one logical line. The key ends at the first blank outside double quotes; quotes and
 * backslashes stay in it, as they do in an address. False after a warning (table_setup()) that
 * names file and line when the line is not an entry.
 */
bool source_split(const char *file, unsigned number, struct span line, struct span *ret_key,
		  struct span *ret_value);

/* Whether the line starts with a blank, which only the first of a file can; then it warns. */
bool source_is_stray(const char *file, unsigned number, struct span line);

#endif
