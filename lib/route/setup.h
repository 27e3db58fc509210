/* SPDX-License-Identifier: MIT */
#ifndef ROUTE_SETUP_H
#define ROUTE_SETUP_H

/*
 * route.h over main.cf and lookup tables: what qmgr, cleanup, smtpd and verify use. Open it in
 * prepare(): tables and the addresses of the machine are read while that is still possible.
 */

#include "route/route.h"
#include "table/lookup.h"

struct maps;
struct match_list;

struct route_setup {
	struct route_config config;
	struct route_lookups lookups;
	struct maps *maps[ROUTE_MAPS_COUNT];
	struct match_list *lists[ROUTE_LIST_COUNT];
	struct netaddr *own_addrs;
	size_t own_addr_count;
	struct lookup *lookup; /* for the calls that come; NULL: wait for each answer */
};

/*
 * Fills it from `conf`, for probes (address_verify_... parameters) with `is_probe`.
 * `table_flags` are added to those of table_open(). False with a text in `error` when a table
 * or list is malformed. It may not move afterwards.
 */
MUST_USE bool route_setup_open(struct route_setup *setup, bool is_probe, unsigned table_flags,
			       struct buf *error);
void route_setup_close(struct route_setup *setup);

/* route_resolve() with this setup; answers of proxied tables come from `lookup` (may be NULL). */
MUST_USE enum route_status route_setup_resolve(struct route_setup *setup, struct lookup *lookup,
					       struct span sender, struct span address,
					       struct route *ret);

#endif
