/* SPDX-License-Identifier: MIT */
/*
 * Numeric addresses; see netaddr.h. Runs in every process, on text from configuration, tables
 * and peers. RFC 4291 2.2, RFC 5952.
 */

#include "net/netaddr.h"

#include <arpa/inet.h>
#include <string.h>

bool netaddr_parse(struct span text, struct netaddr *ret)
{
	char copy[NETADDR_TEXT_SIZE];
	struct netaddr addr = { 0 };

	if (text.n == 0 || text.n >= sizeof(copy) || span_has(text, '\0'))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	addr.family = span_has(text, ':') ? NETADDR_IPV6 : NETADDR_IPV4;
	if (inet_pton(addr.family == NETADDR_IPV6 ? AF_INET6 : AF_INET, copy, addr.bytes) != 1)
		return false;
	*ret = addr;
	return true;
}

struct netaddr netaddr_unmap(struct netaddr addr)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct netaddr plain = { .family = NETADDR_IPV4 };

	if (addr.family != NETADDR_IPV6 || memcmp(addr.bytes, mapped, sizeof(mapped)) != 0)
		return addr;
	memcpy(plain.bytes, addr.bytes + 12, 4);
	return plain;
}

struct span netaddr_format(const struct netaddr *addr, char text[NETADDR_TEXT_SIZE])
{
	text[0] = '\0';
	if (addr->family != NETADDR_NONE)
		inet_ntop(addr->family == NETADDR_IPV6 ? AF_INET6 : AF_INET, addr->bytes, text,
			  NETADDR_TEXT_SIZE);
	return span_of(text);
}

bool netaddr_eq(const struct netaddr *a, const struct netaddr *b)
{
	return a->family == b->family &&
	       memcmp(a->bytes, b->bytes, a->family == NETADDR_IPV4 ? 4 : 16) == 0;
}
