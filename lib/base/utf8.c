/* SPDX-License-Identifier: MIT */
/* UTF-8 checks (RFC 3629 section 4); see utf8.h. */

#include "base/utf8.h"

size_t utf8_char_length(struct span s)
{
	if (s.n == 0)
		return 0;

	unsigned char first = (unsigned char)s.p[0];
	unsigned char low = 0x80, high = 0xbf; /* range of the second byte */
	size_t length;

	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf) {
		length = 2;
	} else if (first >= 0xe0 && first <= 0xef) {
		length = 3;
		if (first == 0xe0)
			low = 0xa0;
		if (first == 0xed)
			high = 0x9f;
	} else if (first >= 0xf0 && first <= 0xf4) {
		length = 4;
		if (first == 0xf0)
			low = 0x90;
		if (first == 0xf4)
			high = 0x8f;
	} else {
		return 0;
	}
	if (s.n < length)
		return 0;
	for (size_t i = 1; i < length; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < low || c > high)
			return 0;
		low = 0x80;
		high = 0xbf;
	}
	return length;
}

bool utf8_is_valid(struct span s)
{
	while (s.n > 0) {
		size_t length = utf8_char_length(s);

		if (length == 0)
			return false;
		s = span_from(s, length);
	}
	return true;
}

bool utf8_has_8bit(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 0x7f)
			return true;
	return false;
}
