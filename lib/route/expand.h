/* SPDX-License-Identifier: MIT */
#ifndef ROUTE_EXPAND_H
#define ROUTE_EXPAND_H

/* The right-hand sides of canonical, virtual and generic maps: one or more addresses. */

#include "route/route.h"

/* Gets each address in internal form, standard form; false ends the walk. */
typedef bool route_expand_fn(void *context, struct span address);

/*
 * Calls `each` for every address of `value`, the result of looking `address` up. "@domain" stands
 * for the local part of `address` at that domain; incomplete addresses are completed in the
 * local context. `suffix` ("+folder", or empty) is an extension that the key did not have and
 * that is to go into each result (propagate_unmatched_extensions). Null addresses are left
 * out. False when `each` was false or a result does not fit into any buffer.
 */
bool route_expand(const struct route_config *config, struct span value, struct span address,
		  struct span suffix, route_expand_fn *each, void *context);

#endif
