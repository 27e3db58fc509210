/* SPDX-License-Identifier: MIT */
/* IP addresses and networks; see ip.h. */

#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

bool ip_parse(struct span text, struct ip_addr *ret_addr)
{
	struct ip_addr addr = { .family = span_has(text, ':') ? IP_V6 : IP_V4 };
	char copy[IP_TEXT_MAX];

	if (text.n == 0 || text.n >= sizeof(copy) || span_has(text, '\0'))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (inet_pton(addr.family == IP_V6 ? AF_INET6 : AF_INET, copy, addr.bytes) != 1)
		return false;
	*ret_addr = addr;
	return true;
}

struct span ip_text(const struct ip_addr *addr, char text[IP_TEXT_MAX])
{
	text[0] = '\0';
	if (addr->family != IP_NONE)
		(void)inet_ntop(addr->family == IP_V6 ? AF_INET6 : AF_INET, addr->bytes, text,
				IP_TEXT_MAX);
	return span_of(text);
}

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family &&
	       memcmp(a->bytes, b->bytes, a->family == IP_V4 ? 4 : 16) == 0;
}

/* The first `bits` bits of an address, as the byte mask at `index`. */
static uint8_t mask_byte(unsigned bits, size_t index)
{
	if (bits >= (index + 1) * 8)
		return 0xff;
	if (bits <= index * 8)
		return 0;
	return (uint8_t)(0xff00u >> (bits - index * 8));
}

void ip_mask(struct ip_addr *addr, unsigned prefix_bits)
{
	for (size_t i = 0; i < sizeof(addr->bytes); i++)
		addr->bytes[i] &= mask_byte(prefix_bits, i);
}

/* Takes the brackets off "[a]", "[a]/n" and "[a/n]" and splits at the "/". */
static bool split_net(struct span text, struct span *ret_addr, struct span *ret_bits)
{
	struct span addr = text, bits = { NULL, 0 };
	bool is_bracketed = text.n > 0 && text.p[0] == '[';

	if (is_bracketed) {
		struct span tail;

		if (!span_cut(span_from(text, 1), ']', &addr, &tail))
			return false;
		if (tail.n > 0 && (tail.p[0] != '/' || span_has(addr, '/')))
			return false;
		if (tail.n > 0) {
			*ret_addr = addr;
			*ret_bits = span_from(tail, 1);
			return ret_bits->n > 0;
		}
	}
	if (span_has(addr, '/')) {
		(void)span_cut(addr, '/', &addr, &bits);
		if (bits.n == 0)
			return false;
	}
	*ret_addr = addr;
	*ret_bits = bits;
	return true;
}

bool ip_net_parse(struct span text, struct ip_net *ret_net, struct buf *ret_error)
{
	struct span addr, bits;
	struct ip_net net;
	uint64_t prefix;

	buf_reset(ret_error);
	if (!split_net(text, &addr, &bits) || !ip_parse(addr, &net.addr)) {
		buf_printf(ret_error, "bad address pattern: \"%.*s\"", SPAN_ARG(text));
		return false;
	}
	prefix = net.addr.family == IP_V6 ? 128 : 32;
	if (bits.n > 0 && !span_u64(bits, prefix, &prefix)) {
		buf_printf(ret_error, "bad mask length in \"%.*s\"", SPAN_ARG(text));
		return false;
	}
	net.prefix_bits = (unsigned)prefix;

	struct ip_net masked = net;

	ip_mask(&masked.addr, net.prefix_bits);
	if (memcmp(masked.addr.bytes, net.addr.bytes, sizeof(net.addr.bytes)) != 0) {
		char better[IP_TEXT_MAX];

		(void)ip_text(&masked.addr, better);
		buf_printf(ret_error,
			   "non-null host address bits in \"%.*s\", perhaps you should use \"%s/%u\" instead",
			   SPAN_ARG(text), better, net.prefix_bits);
		return false;
	}
	*ret_net = net;
	return true;
}

void ip_unmap(struct ip_addr *addr)
{
	static const unsigned char front[12] = { [10] = 0xff, [11] = 0xff };
	struct ip_addr v4 = { .family = IP_V4 };

	if (addr->family != IP_V6 || memcmp(addr->bytes, front, sizeof(front)) != 0)
		return;
	memcpy(v4.bytes, addr->bytes + sizeof(front), 4);
	*addr = v4;
}

bool ip_from_sockaddr(const struct sockaddr *from, struct ip_addr *ret_addr, unsigned *ret_port)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)from;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)from;
	struct ip_addr addr = { .family = IP_V4 };

	if (from->sa_family == AF_INET) {
		memcpy(addr.bytes, &v4->sin_addr, 4);
		*ret_port = ntohs(v4->sin_port);
	} else if (from->sa_family == AF_INET6) {
		addr.family = IP_V6;
		memcpy(addr.bytes, v6->sin6_addr.s6_addr, 16);
		ip_unmap(&addr);
		*ret_port = ntohs(v6->sin6_port);
	} else {
		return false;
	}
	*ret_addr = addr;
	return true;
}

bool ip_net_has(const struct ip_net *net, const struct ip_addr *addr)
{
	size_t size = net->addr.family == IP_V6 ? 16 : 4;

	if (net->addr.family != addr->family)
		return false;
	for (size_t i = 0; i < size && i * 8 < net->prefix_bits; i++)
		if ((addr->bytes[i] & mask_byte(net->prefix_bits, i)) != net->addr.bytes[i])
			return false;
	return true;
}

bool ip_is_loopback(const struct ip_addr *addr)
{
	static const uint8_t v6[16] = { [15] = 1 };

	if (addr->family == IP_V4)
		return addr->bytes[0] == 127;
	return addr->family == IP_V6 && memcmp(addr->bytes, v6, sizeof(v6)) == 0;
}
