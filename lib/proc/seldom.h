/* SPDX-License-Identifier: MIT */
#ifndef PROC_SELDOM_H
#define PROC_SELDOM_H

/*
 * Warnings that say how to raise a limit: true for each client that comes to it, worth a line now and
 * then. The workers of a template, of which each would begin to count anew, count together.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

struct seldom;

/* Counts for `count` warnings, in memory that is shared with all who are forked later; never freed. */
struct seldom *seldom_new(size_t count);

/* Whether warning number `index` is due: true for one caller in 200 seconds, as for the process limit. */
MUST_USE bool seldom_is_due(struct seldom *seldom, size_t index);

#endif
