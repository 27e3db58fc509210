/* SPDX-License-Identifier: MIT */
#ifndef NET_NETADDR_H
#define NET_NETADDR_H

/*
 * Numeric IP addresses and address blocks: text to bytes, bytes to text, "is it in there".
 * Nothing here asks a resolver, opens a socket or allocates.
 */

#include "base/span.h"

enum netaddr_family { NETADDR_NONE, NETADDR_IPV4 = 4, NETADDR_IPV6 = 6 };

struct netaddr {
	enum netaddr_family family;
	uint8_t bytes[16]; /* network order; 4 used for IPv4 */
};

struct netblock {
	struct netaddr addr; /* host bits are zero */
	unsigned bits; /* 0 to 32 or 128 */
};

enum { NETADDR_TEXT_SIZE = 46 };

/*
 * "192.0.2.1" (four decimal numbers, no leading zeros) or an IPv6 address of RFC 4291 2.2
 * without zone, brackets or prefix. False, and *ret untouched, for anything else.
 */
MUST_USE bool netaddr_parse(struct span text, struct netaddr *ret);

/* An IPv4 address that came mapped into IPv6 (::ffff:a.b.c.d) becomes plain IPv4. */
struct netaddr netaddr_unmap(struct netaddr addr);

/* The usual text (RFC 5952), NUL-terminated, in `text`; returns it as a span. */
struct span netaddr_format(const struct netaddr *addr, char text[NETADDR_TEXT_SIZE]);

bool netaddr_eq(const struct netaddr *a, const struct netaddr *b);

enum netblock_status { NETBLOCK_OK, NETBLOCK_SYNTAX, NETBLOCK_HOST_BITS };

/*
 * "192.0.2.0/24", "[2001:db8::]/32", "[::1]", "2001:db8::/32" or a plain address, as in
 * mynetworks and cidr: tables. NETBLOCK_HOST_BITS: bits are set behind the mask; *ret then has
 * the block without them, so that the caller can say what was meant.
 */
MUST_USE enum netblock_status netblock_parse(struct span text, struct netblock *ret);

bool netblock_has(const struct netblock *block, const struct netaddr *addr);

#endif
