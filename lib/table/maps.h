/* SPDX-License-Identifier: MIT */
#ifndef TABLE_MAPS_H
#define TABLE_MAPS_H

/*
 * Tables that are searched one after the other until one answers ("virtual_alias_maps =
 * hash:/etc/a, pcre:/etc/b"), and the keys that are tried for an address or a domain, as in
 * canonical(5), virtual(5), generic(5), transport(5), access(5).
 *
 * All lookups here may be called again from the start after TABLE_PENDING; see lookup.h.
 */

#include "mail/addr_ext.h"
#include "table/lookup.h"
#include "table/table.h"

struct maps;

/*
 * Opens all tables of a list, separated by blanks and commas outside braces. `title` (the name
 * of the parameter) is for error texts. An empty list never finds anything. NULL with the
 * reason in *ret_error when one cannot be opened (see table_open()). The caller closes it.
 */
struct maps *maps_open(const char *title, struct span list, unsigned flags, struct buf *ret_error);
void maps_close(struct maps *maps);

/*
 * Whether every word of a list is "type:name" with a type that this program, or proxymap, has;
 * nothing is opened. False with the reason in *ret_error.
 */
MUST_USE bool maps_check(struct span list, struct buf *ret_error);

bool maps_is_empty(const struct maps *maps);
bool maps_have_changed(struct maps *maps); /* a file of any of the tables */
const char *maps_error(const struct maps *maps); /* after TABLE_ERROR */
const char *maps_title(const struct maps *maps);

/* The "type:name" of the table that the last TABLE_FOUND came from; NULL before the first. */
const char *maps_origin(const struct maps *maps);

/*
 * Looks `key` up in each table. With `is_part` the key is a part of what was asked for (a
 * parent domain, an address without extension), and pattern tables are left out. A table that
 * fails ends the search. An empty key is never found. An empty value counts as TABLE_ERROR: no table should have one.
 * *ret_value is borrowed until the next call on these maps.
 */
MUST_USE enum table_status maps_find(struct maps *maps, struct lookup *lookup, struct span key,
				     bool is_part, struct span *ret_value);

/* Which keys to try for an address; the order is that of this list. */
enum maps_address_keys {
	MAPS_FULL = 1 << 0, /* user+ext@domain */
	MAPS_NO_EXTENSION = 1 << 1, /* user@domain */
	MAPS_LOCALPART_IF_LOCAL = 1 << 2, /* user+ext, user: when the domain is ours */
	MAPS_LOCALPART_AT_IF_LOCAL = 1 << 3, /* user+ext@, user@: when the domain is ours */
	MAPS_AT_DOMAIN = 1 << 4, /* @domain */
	MAPS_DOMAIN = 1 << 5, /* domain */
	MAPS_PARENTS = 1 << 6, /* parent, and its parents: access(5) with parent_domain_... */
	MAPS_DOT_PARENTS = 1 << 7, /* .parent, and its parents: transport(5) */
	MAPS_LOCALPART_AT = 1 << 8, /* user+ext@, user@ */
};

/* canonical(5), virtual(5), generic(5), the *_maps that name addresses. */
#define MAPS_KEYS_REWRITE \
	(MAPS_FULL | MAPS_NO_EXTENSION | MAPS_LOCALPART_IF_LOCAL | MAPS_AT_DOMAIN)
/* transport(5) and access(5); for access add MAPS_PARENTS or MAPS_DOT_PARENTS. */
#define MAPS_KEYS_TRANSPORT (MAPS_FULL | MAPS_NO_EXTENSION | MAPS_DOMAIN | MAPS_DOT_PARENTS)
#define MAPS_KEYS_ACCESS (MAPS_FULL | MAPS_NO_EXTENSION | MAPS_DOMAIN | MAPS_LOCALPART_AT)

/* What the search must know of the configuration. */
struct maps_address_rules {
	struct addr_ext_rules extension;
	/*
	 * Whether a domain is ours (myorigin, mydestination, the addresses of the machine):
	 * TABLE_FOUND says yes. NULL: none is.
	 */
	enum table_status (*is_local)(void *context, struct lookup *lookup, struct span domain);
	void *context;
};

/*
 * Looks up an address, given in its internal form (mail/addr.h). Keys are tried in external
 * form, as tables have them, and where that has quotes also without them.
 *
 * *ret_extension is the extension with its delimiter ("+ext") when it was left out of the key
 * that matched, for the caller to put back into the result (propagate_unmatched_extensions,
 * addr_ext_join()); else it is empty. It points into `address`.
 */
MUST_USE enum table_status maps_find_address(struct maps *maps, struct lookup *lookup,
					     const struct maps_address_rules *rules,
					     struct span address, unsigned keys,
					     struct span *ret_value, struct span *ret_extension);

/*
 * Looks up a domain name and its parents, for access(5) and transport(5): "a.b.c" then "b.c",
 * "c" or with `with_dots` ".b.c", ".c".
 */
MUST_USE enum table_status maps_find_domain(struct maps *maps, struct lookup *lookup,
					    struct span domain, bool with_dots,
					    struct span *ret_value);

/*
 * Looks up an IP address and its networks at byte or 16-bit boundaries, as access(5) has it:
 * "192.0.2.1", "192.0.2", "192.0", "192"; "2001:db8::1", "2001:db8:", ...
 */
MUST_USE enum table_status maps_find_network(struct maps *maps, struct lookup *lookup,
					     struct span address, struct span *ret_value);

#endif
