/* SPDX-License-Identifier: MIT */
#ifndef NET_PROXY_H
#define NET_PROXY_H

/* The PROXY header, versions 1 and 2, of haproxy's proxy-protocol.txt. */

#include "base/ip.h"

/* What the header says, as text; all empty when there was none. */
struct proxied {
	char client_addr[IP_TEXT_MAX], server_addr[IP_TEXT_MAX];
	char client_port[8], server_port[8];
};

enum { PROXY_HEADER_MAX = 16 + 512 };

enum proxy_status {
	PROXY_CLIENT, /* the header says who the client is */
	PROXY_LOCAL,  /* the connection is the proxy's own, or of a kind that has no address */
	PROXY_MORE,   /* so far so good, but it goes on */
	PROXY_BAD,
};

/*
 * Parses the header at the start of `bytes`. PROXY_CLIENT fills in *ret; PROXY_CLIENT and
 * PROXY_LOCAL set *ret_size to the length of the header, which is at most PROXY_HEADER_MAX: a
 * longer one is PROXY_BAD. Addresses come out in their usual text, IPv4 that reached the proxy over IPv6 as
 * plain IPv4.
 */
MUST_USE enum proxy_status proxy_parse(struct span bytes, struct proxied *ret, size_t *ret_size);

#endif
