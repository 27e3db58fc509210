/* SPDX-License-Identifier: MIT */
/* Writing JSON; see json.h. */

#include "base/json.h"

#include <string.h>

#include "base/utf8.h"

static void add_ascii(struct buf *out, char c)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *at = c != '\0' ? strchr(plain, c) : NULL;

	if (at != NULL) {
		buf_char(out, '\\');
		buf_char(out, letters[at - plain]);
	} else if ((unsigned char)c < ' ' || c == 0x7f) {
		buf_printf(out, "\\u%04x", (unsigned)c);
	} else {
		buf_char(out, c);
	}
}

bool json_string(struct buf *out, struct span s)
{
	buf_char(out, '"');
	while (s.n > 0) {
		size_t length = utf8_char_length(s);

		if (length == 1)
			add_ascii(out, s.p[0]);
		else if (length > 1)
			buf_append(out, s.p, length);
		else
			buf_text(out, "\\ufffd");
		s = span_from(s, length > 0 ? length : 1);
	}
	buf_char(out, '"');
	return !buf_is_over(out);
}
