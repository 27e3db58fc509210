/* SPDX-License-Identifier: MIT */
#ifndef NET_NETADDR_H
#define NET_NETADDR_H

/*
 * Numeric IP addresses: text to bytes and back. Nothing here asks a resolver, opens a socket or
 * allocates. Networks are in base/ip.h.
 */

#include "base/span.h"

enum netaddr_family { NETADDR_NONE, NETADDR_IPV4 = 4, NETADDR_IPV6 = 6 };

struct netaddr {
	enum netaddr_family family;
	uint8_t bytes[16]; /* network order; 4 used for IPv4 */
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

#endif
