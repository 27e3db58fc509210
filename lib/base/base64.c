/* SPDX-License-Identifier: MIT */
/* Base64 (RFC 4648 section 4); see base64.h. */

#include "base/base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool base64_encode(struct span data, struct buf *out)
{
	size_t size = (data.n + 2) / 3 * 4;
	char *text = buf_room(out, size);

	if (text == NULL)
		return false;
	for (size_t i = 0; i < data.n; i += 3) {
		size_t left = data.n - i;
		uint32_t bits = (uint32_t)(unsigned char)data.p[i] << 16;

		if (left > 1)
			bits |= (uint32_t)(unsigned char)data.p[i + 1] << 8;
		if (left > 2)
			bits |= (unsigned char)data.p[i + 2];
		*text++ = digits[bits >> 18];
		*text++ = digits[bits >> 12 & 63];
		*text++ = left > 1 ? digits[bits >> 6 & 63] : '=';
		*text++ = left > 2 ? digits[bits & 63] : '=';
	}
	buf_grew(out, size);
	return true;
}

/* The value of a digit, or -1. */
static int digit_value(char c)
{
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

/* Four characters to `count` (1 to 3) bytes; false when one is no digit or bits are left. */
static bool decode_group(const char *text, size_t count, char *ret)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i <= count ? digit_value(text[i]) : 0;

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
	}
	for (size_t i = 0; i < 3; i++) {
		char byte = (char)(bits >> (16 - 8 * i) & 0xff);

		if (i < count)
			ret[i] = byte;
		else if (byte != 0)
			return false;
	}
	return true;
}

bool base64_decode(struct span text, struct buf *out)
{
	size_t padding = 0, size;
	char *data;

	if (text.n % 4 != 0)
		return false;
	while (padding < 2 && padding < text.n && text.p[text.n - 1 - padding] == '=')
		padding++;
	size = text.n / 4 * 3 - padding;
	data = buf_room(out, size);
	if (data == NULL)
		return false;
	for (size_t i = 0; i < text.n; i += 4) {
		bool is_last = i + 4 == text.n;

		if (!decode_group(text.p + i, is_last ? 3 - padding : 3, data + i / 4 * 3)) {
			buf_grew(out, 0); /* puts the NUL back */
			return false;
		}
	}
	buf_grew(out, size);
	return true;
}
