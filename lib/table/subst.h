/* SPDX-License-Identifier: MIT */
#ifndef TABLE_SUBST_H
#define TABLE_SUBST_H

/* Results of pattern tables with $1, ${1}, $(1) and $$ in them (regexp_table(5)). */

#include "base/buf.h"
#include "base/mem.h"

struct subst_part {
	struct span text;
	size_t group; /* 0: `text` as it is; else what this group of the pattern matched */
};

struct subst {
	struct subst_part *parts;
	size_t count;
	size_t highest_group; /* 0: nothing is substituted */
};

/*
 * Parses `text`; the parts point into it and live in `arena`. False with the reason in
 * *ret_error when a "$" is not followed by a number, or a brace is not closed.
 */
bool subst_parse(struct span text, struct arena *arena, struct subst *ret, struct buf *ret_error);

/* Appends the result; groups[0] is the whole match. False when *out is full. */
bool subst_expand(const struct subst *subst, const struct span *groups, struct buf *out);

#endif
