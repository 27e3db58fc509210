/* SPDX-License-Identifier: MIT */
#ifndef TABLE_MATCH_H
#define TABLE_MATCH_H

/*
 * Match lists: mydestination, relay_domains, mynetworks, debug_peer_list and their kin, which
 * ask whether something is in a list, not what it maps to. Patterns are separated by blanks
 * and commas, tried from left to right, and the first that matches decides:
 *
 *     pattern            by kind, see below
 *     !pattern           matches where the pattern does, and says no
 *     /file/name         the patterns in that file, as if they stood here
 *     type:table         the name or address is a key of that table; the value does not matter
 */

#include "table/lookup.h"

enum match_kind {
	MATCH_STRING, /* the same string, without regard to case */
	MATCH_DOMAIN, /* the same name; parent domains by MATCH_PARENTS or ".parent" */
	MATCH_CLIENT, /* as MATCH_DOMAIN for the name; ADDRESS, NET/BITS, [V6]/BITS for the address */
	MATCH_ADDRESS, /* only addresses and networks */
};

/* Flags besides those of table_open(), for the tables in the list. */
enum {
	MATCH_PARENTS = 1 << 16, /* "domain" matches its subdomains: the parameter is in
				    parent_domain_matches_subdomains; else ".domain" does */
};

enum match_result {
	MATCH_NO,
	MATCH_YES,
	MATCH_ERROR, /* temporary: a table failed, or a pattern is malformed; see match_error() */
	MATCH_PENDING, /* lookup->need says what to ask first; see lookup.h */
};

struct match_list;

/*
 * Parses a list; `title` (the name of the parameter) is for error texts. Files are read now, up
 * to 8 within each other. NULL with the reason in *ret_error when a file cannot be read or a
 * table not be opened; a malformed network is a warning here (table_setup()) and MATCH_ERROR
 * when a match gets to it. The caller closes it.
 */
struct match_list *match_open(const char *title, struct span list, enum match_kind kind,
			      unsigned flags, struct buf *ret_error);
void match_close(struct match_list *list);

bool match_is_empty(const struct match_list *list);
bool match_has_changed(struct match_list *list); /* any of its files and tables */
const char *match_error(const struct match_list *list);

/* MATCH_STRING and MATCH_DOMAIN. `lookup` as in table_lookup(). */
MUST_USE enum match_result match_name(struct match_list *list, struct lookup *lookup,
				      struct span name);

/* MATCH_CLIENT and MATCH_ADDRESS (`name` is not used); either may be empty when unknown. */
MUST_USE enum match_result match_client(struct match_list *list, struct lookup *lookup,
					struct span name, struct span address);

#endif
