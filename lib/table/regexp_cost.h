/* SPDX-License-Identifier: MIT */
#ifndef TABLE_REGEXP_COST_H
#define TABLE_REGEXP_COST_H

/* What POSIX regular expressions would cost the C library, estimated before it sees them. Pure. */

#include "base/span.h"

/*
 * Why the library would take too much time or memory to compile the pattern, or to match 2,000 bytes with
 * it, in words; NULL: it would not. `is_extended`: REG_EXTENDED, else a basic expression.
 */
const char *regexp_find_cost(struct span text, bool is_extended);

#endif
