/* SPDX-License-Identifier: MIT */
#ifndef ROUTE_SITE_H
#define ROUTE_SITE_H

/*
 * Rewriting and resolving as main.cf of this site says: lib/route joined to `conf`, to the
 * tables and to the lists. Opened once, in prepare(); used by smtpd, cleanup and qmgr.
 */

#include "route/route.h"
#include "table/lookup.h"
#include "table/maps.h"
#include "table/match.h"

struct site {
	struct route_config config;
	struct route_lookups lookups;
	struct lookup *lookup; /* of the current question; NULL: tables are waited for */
	const char *reason;    /* why a table of the current question failed; NULL: none did */
	struct maps *maps[ROUTE_MAPS_COUNT];
	struct match_list *lists[ROUTE_LIST_COUNT];
	struct match_list *own_addresses; /* inet_interfaces and proxy_interfaces, numeric */
	struct maps_address_rules rules;  /* for maps_find_address(), with what is local here */
};

/* Opens maps and lists by `conf`; a table that cannot be opened is fatal(). `flags`: TABLE_. */
void site_open(struct site *site, unsigned flags);

/* The same with the address_verify_ settings, for where the probes of verify(8) go. */
void site_open_for_probes(struct site *site, unsigned flags);

/*
 * The resolver's entry: with `lookup` NULL it waits for tables; with an asynchronous one it may
 * answer ROUTE_PENDING. See route_resolve().
 */
MUST_USE enum route_status site_resolve(struct site *site, struct lookup *lookup,
					struct span sender, struct span address,
					struct route *ret);

/* route_rewrite() for this site. */
bool site_rewrite(const struct site *site, enum route_context context, struct span address,
		  struct buf *out);

/* Whether a domain (or address literal) is delivered here: mydestination and own addresses. */
MUST_USE enum table_status site_is_local(struct site *site, struct lookup *lookup,
					 struct span domain);

/* A file of any map or list, for service_watch_file(): see table/table.h. */
MUST_USE bool site_has_changed(struct site *site);

#endif
