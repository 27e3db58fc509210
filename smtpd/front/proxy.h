/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_FRONT_PROXY_H
#define SMTPD_FRONT_PROXY_H

/* The PROXY header, versions 1 and 2, of haproxy's proxy-protocol.txt. */

#include "smtpd/front/front.h"

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
 * longer one is PROXY_BAD. Addresses come out in their usual text.
 */
MUST_USE enum proxy_status proxy_parse(struct span bytes, struct proxied *ret, size_t *ret_size);

#endif
