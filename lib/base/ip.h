/* SPDX-License-Identifier: MIT */
#ifndef BASE_IP_H
#define BASE_IP_H

/* IP addresses and networks as bytes and as text. No names, no sockets. */

#include "base/buf.h"

struct ip_addr {
	bool is_v6;
	uint8_t bytes[16]; /* network order; the first four for IPv4 */
};

struct ip_net {
	struct ip_addr addr;
	unsigned prefix_bits; /* at most 32 or 128 */
};

enum { IP_TEXT_MAX = 46 }; /* with the NUL */

/* An IPv4 or IPv6 address, as inet_pton(3) reads them; nothing around it, no brackets. */
bool ip_parse(struct span text, struct ip_addr *ret_addr);

/* Writes it as inet_ntop(3) does. */
void ip_text(const struct ip_addr *addr, char ret_text[IP_TEXT_MAX]);

/*
 * ADDRESS, ADDRESS/BITS, [ADDRESS], [ADDRESS]/BITS or [ADDRESS/BITS]. The bits behind the
 * prefix must be zero. False with a reason in *ret_error (Postfix's wording) otherwise.
 */
bool ip_net_parse(struct span text, struct ip_net *ret_net, struct buf *ret_error);

/* An address as a socket has it; IPv4 that came over IPv6 becomes plain IPv4. False: no IP. */
struct sockaddr;
bool ip_from_sockaddr(const struct sockaddr *from, struct ip_addr *ret_addr, unsigned *ret_port);

/* Clears all bits behind the first `prefix_bits`. */
void ip_mask(struct ip_addr *addr, unsigned prefix_bits);

/* Whether the address is in the network; never across the two families. */
bool ip_net_has(const struct ip_net *net, const struct ip_addr *addr);

#endif
