/* SPDX-License-Identifier: MIT */
/* Writing JSON (RFC 8259). Pure functions, any text. */

#include "base/json.h"

#include "base/utf8.h"

static bool escape(struct buf *buf, char c)
{
	static const char letters[] = "\bb\ff\nn\rr\tt\"\"\\\\";

	for (size_t i = 0; i < sizeof(letters) - 1; i += 2)
		if (letters[i] == c)
			return buf_char(buf, '\\') && buf_char(buf, letters[i + 1]);
	return buf_printf(buf, "\\u%04x", (unsigned)(unsigned char)c);
}

bool json_string(struct buf *buf, struct span s)
{
	buf_char(buf, '"');
	while (s.n > 0) {
		size_t length = utf8_char_length(s);

		if (length == 0)
			buf_text(buf, "\\ufffd");
		else if (length > 1 || (ascii_is_print(s.p[0]) && s.p[0] != '"' && s.p[0] != '\\'))
			buf_add(buf, span_first(s, length));
		else
			escape(buf, s.p[0]);
		s = span_from(s, length > 0 ? length : 1);
	}
	return buf_char(buf, '"');
}

bool json_member(struct buf *buf, const char *name, struct span value)
{
	if (!span_ends(buf_span(buf), SPAN("{")))
		buf_text(buf, ", ");
	json_string(buf, span_of(name));
	buf_text(buf, ": ");
	return json_string(buf, value);
}
