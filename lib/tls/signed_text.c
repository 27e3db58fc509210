/* SPDX-License-Identifier: MIT */
/*
 * What keysign looks at before it signs; see signed_text.h. The text comes from a process that
 * talks to the network and may have been taken over.
 */

#include "tls/signed_text.h"

#include <string.h>

enum { SPACES = 64, RANDOMS = 64, SHA256_BYTES = 32, SHA384_BYTES = 48 };

static unsigned byte_at(struct span s, size_t at)
{
	return (unsigned char)s.p[at];
}

/* 64 spaces, who signs, a zero, and the hash of the handshake. */
static bool is_tls13(struct span text, enum tls_role role)
{
	struct span who = role == TLS_SERVER ? SPAN("TLS 1.3, server CertificateVerify\0")
					     : SPAN("TLS 1.3, client CertificateVerify\0");

	for (size_t i = 0; i < SPACES; i++)
		if (i >= text.n || text.p[i] != ' ')
			return false;
	text = span_from(text, SPACES);
	return span_starts(text, who) &&
	       (text.n - who.n == SHA256_BYTES || text.n - who.n == SHA384_BYTES);
}

/* Takes a field with its length in two bytes in front; not an empty one. */
static bool take_field(struct span *rest)
{
	size_t size;

	if (rest->n < 2)
		return false;
	size = byte_at(*rest, 0) << 8 | byte_at(*rest, 1);
	if (size == 0 || rest->n - 2 < size)
		return false;
	*rest = span_from(*rest, 2 + size);
	return true;
}

/* Random bytes of both sides, and the server's part of the exchange: a named curve, or p, g, Y. */
static bool is_tls12_server(struct span text)
{
	struct span rest;

	if (text.n <= RANDOMS)
		return false;
	rest = span_from(text, RANDOMS);
	if (rest.n >= 4 && byte_at(rest, 0) == 3 && byte_at(rest, 3) > 0 &&
	    rest.n - 4 == byte_at(rest, 3))
		return true;
	return take_field(&rest) && take_field(&rest) && take_field(&rest) && rest.n == 0;
}

/* The messages of a handshake, from ClientHello to ClientKeyExchange. */
static bool is_tls12_client(struct span text)
{
	enum { HELLO = 1, KEY_EXCHANGE = 16, HEADER = 4 };
	unsigned type = 0;
	bool is_first = true;

	while (text.n >= HEADER) {
		size_t size = (size_t)byte_at(text, 1) << 16 | (size_t)byte_at(text, 2) << 8 |
			      byte_at(text, 3);

		type = byte_at(text, 0);
		if (text.n - HEADER < size || is_first != (type == HELLO))
			return false;
		is_first = false;
		text = span_from(text, HEADER + size);
	}
	return text.n == 0 && type == KEY_EXCHANGE;
}

bool signed_text_is_tls(struct span text, enum tls_role role)
{
	if (is_tls13(text, role))
		return true;
	return role == TLS_SERVER ? is_tls12_server(text) : is_tls12_client(text);
}
