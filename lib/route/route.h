/* SPDX-License-Identifier: MIT */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

/*
 * What trivial-rewrite(8) does, as a library: addresses to their standard form, and addresses
 * to (class, transport, nexthop, recipient). Addresses are in internal form (mail/addr.h).
 *
 * It is resumable: a lookup may answer ROUTE_PENDING, and so does the call that needed it. The
 * caller gets the answer, sees to it that the lookup knows it the next time, and makes the same
 * call again. There is no other state.
 */

#include "base/buf.h"
#include "mail/addr_ext.h"

struct ip_addr;

enum route_status {
	ROUTE_OK, /* of a lookup: found; of a list: it matches */
	ROUTE_NOT_FOUND,
	ROUTE_ERROR, /* temporary: a table did not answer */
	ROUTE_PENDING,
};

enum route_maps {
	ROUTE_TRANSPORT_MAPS,
	ROUTE_RELOCATED_MAPS,
	ROUTE_SENDER_RELAYHOST_MAPS, /* sender_dependent_relayhost_maps */
	ROUTE_SENDER_TRANSPORT_MAPS, /* sender_dependent_default_transport_maps */
	ROUTE_MAPS_COUNT
};

enum route_list {
	ROUTE_MYDESTINATION,
	ROUTE_VIRTUAL_ALIAS_DOMAINS,
	ROUTE_VIRTUAL_MAILBOX_DOMAINS,
	ROUTE_RELAY_DOMAINS,
	ROUTE_LIST_COUNT
};

/*
 * How the library asks. Values are borrowed until the next question of the same call tree;
 * the library copies what it keeps. Maps and lists that are not configured never match; the
 * maps that are not are told in `has_maps`, so that no key is made for them.
 */
struct route_lookups {
	void *context;
	bool has_maps[ROUTE_MAPS_COUNT];
	/* `is_partial`: the key is a part of an address; tables of patterns are left out. */
	enum route_status (*find)(void *context, enum route_maps maps, struct span key,
				  bool is_partial, struct span *ret_value);
	/* Whether a domain name is in the list; the name is in lower case. */
	enum route_status (*match)(void *context, enum route_list list, struct span domain);
	/* Whether the mail system receives mail at the address (inet_ and proxy_interfaces). */
	bool (*is_own_address)(void *context, const struct ip_addr *addr);
};

/* main.cf; the strings are borrowed and outlive the calls. */
struct route_config {
	struct span myhostname, mydomain, myorigin;
	struct span remote_header_rewrite_domain;
	struct span empty_address_recipient; /* MAILER-DAEMON */
	struct span empty_relayhost_key, empty_transport_key; /* "<>" */
	struct addr_ext_rules ext;
	bool append_at_myorigin, append_dot_mydomain;
	bool swap_bangpath, allow_percent_hack;
	bool resolve_dequoted_address, resolve_null_domain, resolve_numeric_domain;
	bool relocated_prefix_enable;
	bool allow_min_user;
	bool show_user_unknown_table_name;
	bool transport_maps_match_subdomains; /* parent_domain_matches_subdomains has it */
	bool idna2003; /* enable_idna2003_compatibility */
	/* "transport:nexthop", or those of address_verify_... for probes */
	struct span local_transport, virtual_transport, relay_transport, default_transport;
	struct span relayhost;
};

enum route_context { ROUTE_LOCAL, ROUTE_REMOTE };

/*
 * Appends the standard form of `address`: source route gone, site!user and user%domain swapped,
 * a missing domain or ".domain" added, trailing dot taken away; "@" alone becomes the null
 * address. Needs no tables. False when `out` is full.
 */
bool route_rewrite(const struct route_config *config, enum route_context context,
		   struct span address, struct buf *out);

enum route_class {
	ROUTE_CLASS_LOCAL, /* mydestination, own addresses */
	ROUTE_CLASS_VIRTUAL_ALIAS,
	ROUTE_CLASS_VIRTUAL_MAILBOX,
	ROUTE_CLASS_RELAY,
	ROUTE_CLASS_DEFAULT,
};

struct route {
	enum route_class class;
	bool is_routed; /* the local part sends it on elsewhere: a%b@remote, "a@b"@remote */
	bool is_bad; /* no deliverable address: bad domain, "-user"; transport is "error" then */
	bool is_conflict; /* its domain is in two classes; `warning` says which */
	struct buf transport;
	struct buf nexthop;
	struct buf recipient;
	struct buf warning; /* for the log; empty when all is well */
};

void route_init(struct route *route);
void route_done(struct route *route);

/*
 * Where mail for `address` from `sender` goes. ROUTE_OK fills *ret; ROUTE_ERROR (try later:
 * 4.3.5, "warning" names the lookup) and ROUTE_PENDING leave nothing of use in it, except the
 * warning. `ret` was initialised once and may be used again and again.
 */
MUST_USE enum route_status route_resolve(const struct route_config *config,
					 const struct route_lookups *lookups, struct span sender,
					 struct span address, struct route *ret);

#endif
