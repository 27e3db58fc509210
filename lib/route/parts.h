/* SPDX-License-Identifier: MIT */
#ifndef ROUTE_PARTS_H
#define ROUTE_PARTS_H

/* What rewriting and resolving share; private to lib/route. */

#include "route/route.h"

/* Without "@site,@site:" in front. */
struct span route_strip_route(struct span address);

/* "site!user" or "user%site", as far as the configuration swaps them. */
bool route_swap_local(const struct route_config *config, struct span local, struct span *ret_user,
		      struct span *ret_domain);

/* Without one trailing dot. */
struct span route_strip_dot(struct span domain);

/*
 * Looks an address up in maps that have addresses as keys: user+ext@domain, user@domain; then,
 * with `is_local`, user+ext and user; then @domain.
 */
MUST_USE enum route_status route_find_address(const struct route_config *config,
					      const struct route_lookups *lookups,
					      enum route_maps maps, struct span address,
					      bool is_local, struct span *ret_value);

/*
 * transport(5): user+ext@domain, user@domain, domain, its parents (as ".parent", or plainly
 * with transport_maps_match_subdomains), "*".
 */
MUST_USE enum route_status route_find_transport(const struct route_config *config,
						const struct route_lookups *lookups,
						struct span address, struct span *ret_value);

#endif
