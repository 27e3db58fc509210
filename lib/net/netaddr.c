/* SPDX-License-Identifier: MIT */
/*
 * Numeric addresses; see netaddr.h. Runs in every process, on text from configuration, tables
 * and peers. RFC 4291 2.2, RFC 5952.
 */

#include "net/netaddr.h"

#include <arpa/inet.h>
#include <string.h>

static unsigned family_bits(enum netaddr_family family)
{
	return family == NETADDR_IPV4 ? 32 : 128;
}

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
	return a->family == b->family && memcmp(a->bytes, b->bytes, family_bits(a->family) / 8) == 0;
}

/* Zeroes what is behind the mask; whether anything was there. */
static bool clear_host_bits(struct netblock *block)
{
	bool was_set = false;

	for (unsigned i = 0; i < family_bits(block->addr.family) / 8; i++) {
		unsigned first = i * 8;
		unsigned keep = block->bits <= first ? 0 :
				block->bits >= first + 8 ? 8 : block->bits - first;
		uint8_t mask = (uint8_t)(0xff00u >> keep);

		was_set |= (block->addr.bytes[i] & ~mask) != 0;
		block->addr.bytes[i] &= mask;
	}
	return was_set;
}

enum netblock_status netblock_parse(struct span text, struct netblock *ret)
{
	struct netblock block;
	struct span addr = text, bits = { NULL, 0 };
	bool has_bits = span_cut(text, '/', &addr, &bits);
	uint64_t value;

	if (addr.n >= 2 && addr.p[0] == '[' && addr.p[addr.n - 1] == ']')
		addr = (struct span){ addr.p + 1, addr.n - 2 };
	if (!netaddr_parse(addr, &block.addr))
		return NETBLOCK_SYNTAX;
	value = family_bits(block.addr.family);
	if (has_bits && !span_u64(bits, value, &value))
		return NETBLOCK_SYNTAX;
	block.bits = (unsigned)value;
	has_bits = clear_host_bits(&block);
	*ret = block;
	return has_bits ? NETBLOCK_HOST_BITS : NETBLOCK_OK;
}

bool netblock_has(const struct netblock *block, const struct netaddr *addr)
{
	struct netblock of_addr = { *addr, block->bits };

	if (block->addr.family != addr->family)
		return false;
	clear_host_bits(&of_addr);
	return netaddr_eq(&block->addr, &of_addr.addr);
}
