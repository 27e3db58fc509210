/* SPDX-License-Identifier: MIT */
/* Base64; see base64.h. Runs in smtpd and smtp (SASL), on what peers send. RFC 4648. */

#include "base/base64.h"

#include <string.h>

#include "base/buf.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool base64_encode(struct buf *out, struct span data)
{
	for (size_t i = 0; i < data.n; i += 3) {
		size_t n = data.n - i < 3 ? data.n - i : 3;
		unsigned bits = 0;
		char text[4] = { '=', '=', '=', '=' };

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (j < n ? (unsigned char)data.p[i + j] : 0u);
		for (size_t j = 0; j <= n; j++)
			text[j] = alphabet[bits >> (18 - 6 * j) & 63];
		buf_append(out, text, sizeof(text));
	}
	return !buf_is_over(out);
}

static int value_of(char c)
{
	const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

	return at != NULL ? (int)(at - alphabet) : -1;
}

/* One group of four; *ret_n is how many bytes it makes. Padding may be in the last one only. */
static bool decode_group(const char *group, bool is_last, char bytes[3], size_t *ret_n)
{
	size_t pad = group[3] != '=' ? 0 : group[2] != '=' ? 1 : 2;
	unsigned bits = 0;

	if (pad > 0 && !is_last)
		return false;
	for (size_t i = 0; i < 4; i++) {
		int value = i < 4 - pad ? value_of(group[i]) : 0;

		if (value < 0)
			return false;
		bits = bits << 6 | (unsigned)value;
	}
	if ((pad == 1 && (bits & 0xff) != 0) || (pad == 2 && (bits & 0xffff) != 0))
		return false;
	for (size_t i = 0; i < 3; i++)
		bytes[i] = (char)(bits >> (16 - 8 * i) & 0xff);
	*ret_n = 3 - pad;
	return true;
}

bool base64_decode(struct buf *out, struct span text)
{
	size_t start = buf_span(out).n;

	for (size_t i = 0; i < text.n; i += 4) {
		char bytes[3];
		size_t n;

		if (text.n - i < 4 || !decode_group(text.p + i, text.n - i == 4, bytes, &n) ||
		    !buf_append(out, bytes, n)) {
			buf_truncate(out, start);
			return false;
		}
	}
	return true;
}
