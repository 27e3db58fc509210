/* SPDX-License-Identifier: MIT */
/*
 * From: headers; see header_from.h. Runs in cleanup, with names from the user database and from
 * sendmail -F. RFC 5322 3.2.5 and 3.4, postconf(5) header_from_format.
 */

#include "mail/header_from.h"

#include "base/buf.h"
#include "mail/addr.h"

static bool needs_quotes(struct span name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!addr_is_atext(name.p[i]) && !ascii_is_blank(name.p[i]))
			return true;
	return false;
}

/* The name word by word, with a backslash in front of each byte of `escaped`. */
static void append_name(struct buf *out, struct span name, struct span escaped)
{
	struct span word;
	bool is_first = true;

	while ((word = span_word(&name, " \t\r\n\v\f")).n > 0) {
		if (!is_first)
			buf_char(out, ' ');
		is_first = false;
		for (size_t i = 0; i < word.n; i++) {
			if (span_has(escaped, word.p[i]))
				buf_char(out, '\\');
			if ((unsigned char)word.p[i] >= 0x20 && word.p[i] != 0x7f)
				buf_char(out, word.p[i]);
		}
	}
}

bool header_from(struct buf *out, enum header_from_format format, struct span name,
		 struct span address)
{
	bool is_quoted;

	name = span_trim(name);
	if (name.n == 0)
		return addr_quote(out, address);
	switch (format) {
	case HEADER_FROM_STANDARD:
		is_quoted = needs_quotes(name);
		buf_text(out, is_quoted ? "\"" : "");
		append_name(out, name, SPAN("\"\\"));
		buf_text(out, is_quoted ? "\" <" : " <");
		addr_quote(out, address);
		return buf_char(out, '>');
	case HEADER_FROM_OBSOLETE:
		addr_quote(out, address);
		buf_text(out, " (");
		append_name(out, name, SPAN("()\\"));
		return buf_char(out, ')');
	}
	return false;
}
