/* SPDX-License-Identifier: MIT */
#ifndef BASE_IP_H
#define BASE_IP_H

/* IP addresses and networks as bytes and as text. No names, no sockets. */

#include "base/buf.h"

enum ip_family { IP_NONE, IP_V4 = 4, IP_V6 = 6 };

struct ip_addr {
	enum ip_family family;
	uint8_t bytes[16]; /* network order; the first four for IPv4 */
};

struct ip_net {
	struct ip_addr addr;
	unsigned prefix_bits; /* at most 32 or 128 */
};

enum { IP_TEXT_MAX = 46 }; /* with the NUL */

/*
 * "192.0.2.1" (four decimal numbers, no leading zeros) or an IPv6 address of RFC 4291 2.2
 * without zone, brackets or prefix. False, and *ret_addr untouched, for anything else.
 */
MUST_USE bool ip_parse(struct span text, struct ip_addr *ret_addr);

/* The usual text (RFC 5952), NUL-terminated, in `text`, which is returned as a span. */
struct span ip_text(const struct ip_addr *addr, char text[IP_TEXT_MAX]);

/* 127.0.0.0/8 and ::1. */
bool ip_is_loopback(const struct ip_addr *addr);

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b);

/*
 * ADDRESS, ADDRESS/BITS, [ADDRESS], [ADDRESS]/BITS or [ADDRESS/BITS]. The bits behind the
 * prefix must be zero. False with a reason in *ret_error (Postfix's wording) otherwise.
 */
bool ip_net_parse(struct span text, struct ip_net *ret_net, struct buf *ret_error);

/* IPv4 in the form of IPv6 ("::ffff:192.0.2.1") becomes plain IPv4; others stay. */
void ip_unmap(struct ip_addr *addr);

/* An address as a socket has it; IPv4 that came over IPv6 becomes plain IPv4. False: no IP. */
struct sockaddr;
bool ip_from_sockaddr(const struct sockaddr *from, struct ip_addr *ret_addr, unsigned *ret_port);

/* Clears all bits behind the first `prefix_bits`. */
void ip_mask(struct ip_addr *addr, unsigned prefix_bits);

/* Whether the address is in the network; never across the two families. */
bool ip_net_has(const struct ip_net *net, const struct ip_addr *addr);

#endif
