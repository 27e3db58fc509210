/* SPDX-License-Identifier: MIT */
/* The PROXY header; see proxy.h. The bytes are of whoever connects: nothing in them is trusted. */

#include "net/proxy.h"

#include <stdio.h>
#include <string.h>

enum {
	LINE_MAX_BYTES = 107, /* proxy-protocol.txt 2.1 */
	V2_SIGNATURE = 12,
	V2_FIXED = 16,        /* signature, version and command, family, length */
	V2_IPV4 = 12,
	V2_IPV6 = 36,
};

static const char v2_signature[V2_SIGNATURE] = { '\r', '\n', '\r', '\n', '\0', '\r',
						 '\n', 'Q',  'U',  'I',  'T',  '\n' };

static bool is_prefix(struct span bytes, struct span of)
{
	return memcmp(bytes.p, of.p, bytes.n < of.n ? bytes.n : of.n) == 0;
}

/* ---- version 1: one line of text ---- */

static bool take_address(struct span word, enum ip_family family, char ret_text[IP_TEXT_MAX])
{
	struct ip_addr addr;

	if (!ip_parse(word, &addr) || addr.family != family)
		return false;
	ip_unmap(&addr);
	(void)ip_text(&addr, ret_text);
	return true;
}

static bool take_port(struct span word, char ret_text[8])
{
	uint64_t port;

	if (!span_u64(word, 65535, &port))
		return false;
	(void)snprintf(ret_text, 8, "%u", (unsigned)port);
	return true;
}

/* "PROXY TCP4 192.0.2.1 192.0.2.2 1234 25", its line end taken off: proxy-protocol.txt 2.1 */
static enum proxy_status parse_line(struct span line, struct proxied *ret)
{
	struct span words[6], rest = line;
	size_t count = 0;
	enum ip_family family;

	while (count < 5 && span_cut(rest, ' ', &words[count], &rest))
		count++;
	words[count++] = rest;
	if (count >= 2 && span_is(words[1], "UNKNOWN"))
		return PROXY_LOCAL;
	if (count != 6 || !(span_is(words[1], "TCP4") || span_is(words[1], "TCP6")))
		return PROXY_BAD;
	family = span_is(words[1], "TCP6") ? IP_V6 : IP_V4;
	if (take_address(words[2], family, ret->client_addr) &&
	    take_address(words[3], family, ret->server_addr) &&
	    take_port(words[4], ret->client_port) && take_port(words[5], ret->server_port))
		return PROXY_CLIENT;
	return PROXY_BAD;
}

static enum proxy_status parse_v1(struct span bytes, struct proxied *ret, size_t *ret_size)
{
	size_t at;

	if (!span_chr(span_first(bytes, LINE_MAX_BYTES), '\n', &at))
		return bytes.n < LINE_MAX_BYTES ? PROXY_MORE : PROXY_BAD;
	if (at == 0 || bytes.p[at - 1] != '\r')
		return PROXY_BAD;
	*ret_size = at + 1;
	return parse_line(span_first(bytes, at - 1), ret);
}

/* ---- version 2: binary ---- */

static unsigned number16(const char *at)
{
	return (unsigned)(unsigned char)at[0] << 8 | (unsigned char)at[1];
}

/* Both addresses, then both ports: proxy-protocol.txt 2.2 */
static void take_binary(const char *at, enum ip_family family, struct proxied *ret)
{
	struct ip_addr client = { .family = family }, server = { .family = family };
	size_t size = family == IP_V6 ? 16 : 4;

	memcpy(client.bytes, at, size);
	memcpy(server.bytes, at + size, size);
	ip_unmap(&client);
	ip_unmap(&server);
	(void)ip_text(&client, ret->client_addr);
	(void)ip_text(&server, ret->server_addr);
	(void)snprintf(ret->client_port, sizeof(ret->client_port), "%u", number16(at + 2 * size));
	(void)snprintf(ret->server_port, sizeof(ret->server_port), "%u",
		       number16(at + 2 * size + 2));
}

static enum proxy_status parse_v2(struct span bytes, struct proxied *ret, size_t *ret_size)
{
	enum { LOCAL = 0x20, PROXY = 0x21, TCP_IPV4 = 0x11, TCP_IPV6 = 0x21 };
	unsigned command, family, length;

	if (bytes.n < V2_FIXED)
		return PROXY_MORE;
	command = (unsigned char)bytes.p[12];
	family = (unsigned char)bytes.p[13];
	length = number16(bytes.p + 14);
	if ((command != LOCAL && command != PROXY) || V2_FIXED + length > PROXY_HEADER_MAX)
		return PROXY_BAD;
	if (bytes.n < V2_FIXED + length)
		return PROXY_MORE;
	*ret_size = V2_FIXED + length;
	if (command == LOCAL)
		return PROXY_LOCAL;
	if ((family == TCP_IPV4 && length < V2_IPV4) || (family == TCP_IPV6 && length < V2_IPV6) ||
	    (family != TCP_IPV4 && family != TCP_IPV6))
		return PROXY_BAD;
	take_binary(bytes.p + V2_FIXED, family == TCP_IPV6 ? IP_V6 : IP_V4, ret);
	return PROXY_CLIENT;
}

enum proxy_status proxy_parse(struct span bytes, struct proxied *ret, size_t *ret_size)
{
	struct proxied found = { .client_addr = "" };
	enum proxy_status status = PROXY_BAD;

	if (is_prefix(bytes, SPAN("PROXY ")))
		status = parse_v1(bytes, &found, ret_size);
	else if (is_prefix(bytes, (struct span){ v2_signature, sizeof(v2_signature) }))
		status = parse_v2(bytes, &found, ret_size);
	if (status == PROXY_CLIENT)
		*ret = found;
	return status;
}
