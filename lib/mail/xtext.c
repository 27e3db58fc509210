/* SPDX-License-Identifier: MIT */
/*
 * xtext; see xtext.h. Runs in smtpd on parameters from peers, in smtp and bounce the other way.
 */

#include "mail/xtext.h"

#include "base/buf.h"
#include "base/utf8.h"

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

int hex_digit(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* xtext = *( xchar / "+" 2HEXDIG ) */
bool xtext_decode(struct buf *out, struct span text)
{
	size_t start = buf_span(out).n;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '+') {
			int high = i + 1 < text.n ? hex_digit(text.p[i + 1]) : -1;
			int low = i + 2 < text.n ? hex_digit(text.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				goto bad;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (is_control(c) || !buf_char(out, c))
			goto bad;
	}
	return true;
bad:
	buf_truncate(out, start);
	return false;
}

bool xtext_encode(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c > 0x20 && c < 0x7f && c != '+' && c != '=')
			buf_char(out, c);
		else
			buf_printf(out, "+%02X", (unsigned)(unsigned char)c);
	}
	return !buf_is_over(out);
}

static void append_utf8(struct buf *out, unsigned long c)
{
	char text[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[5] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n; i-- > 1; c >>= 6)
		text[i] = (char)(0x80 | (c & 0x3f));
	text[0] = (char)(lead[n] | c);
	buf_append(out, text, n);
}

/* EmbeddedUnicodeChar = "\x{" 2*6HEXDIG "}" */
static bool take_embedded(struct span text, size_t *at, unsigned long *ret_char)
{
	unsigned long c = 0;
	size_t i = *at + 3, digits = 0;
	int digit;

	if (!span_starts(span_from(text, *at), SPAN("\\x{")))
		return false;
	for (; i < text.n && digits < 6 && (digit = hex_digit(text.p[i])) >= 0; i++, digits++)
		c = c << 4 | (unsigned long)digit;
	if (digits < 2 || i >= text.n || text.p[i] != '}')
		return false;
	if (c < 0x20 || c == 0x7f || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return false;
	*at = i;
	*ret_char = c;
	return true;
}

bool utf8_xtext_decode(struct buf *out, struct span text)
{
	size_t start = buf_span(out).n;
	unsigned long c;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '\\') {
			if (is_control(text.p[i]) || !buf_char(out, text.p[i]))
				goto bad;
			continue;
		}
		if (!take_embedded(text, &i, &c))
			goto bad;
		append_utf8(out, c);
	}
	if (utf8_is_valid(span_from(buf_span(out), start)) && !buf_is_over(out))
		return true;
bad:
	buf_truncate(out, start);
	return false;
}

/* The code of one well-formed character of `n` bytes. */
static unsigned long code_point(struct span text, size_t n)
{
	unsigned long c = (unsigned char)text.p[0] & (n == 1 ? 0x7fu : 0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)text.p[i] & 0x3f);
	return c;
}

bool utf8_xtext_encode(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.n;) {
		struct span rest = span_from(text, i);
		size_t n = utf8_char_length(rest);
		char c = rest.p[0];

		if (n == 1 && c > 0x20 && c < 0x7f && c != '+' && c != '=' && c != '\\')
			buf_char(out, c);
		else
			buf_printf(out, "\\x{%02lX}", n > 0 ? code_point(rest, n) : 0xfffdUL);
		i += n > 0 ? n : 1;
	}
	return !buf_is_over(out);
}
