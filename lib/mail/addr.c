/* SPDX-License-Identifier: MIT */
/*
 * Internal and external form of addresses; see addr.h. Runs in every process, on addresses of
 * any origin. RFC 5321 4.1.2, RFC 5322 3.4.1, RFC 6531 3.3.
 */

#include "mail/addr.h"

#include "base/buf.h"

struct addr addr_split(struct span internal)
{
	size_t at;

	if (!span_rchr(internal, '@', &at))
		return (struct addr){ .local = internal };
	return (struct addr){ span_first(internal, at), span_from(internal, at + 1), true };
}

bool addr_is_atext(char c)
{
	static const bool is_special[128] = {
		['('] = true, [')'] = true, ['<'] = true, ['>'] = true, ['@'] = true,
		[','] = true, [';'] = true, [':'] = true, ['\\'] = true, ['"'] = true,
		['.'] = true, ['['] = true, [']'] = true,
	};
	unsigned char u = (unsigned char)c;

	return u > 0x7f || (u > 0x20 && u < 0x7f && !is_special[u]);
}

/* dot-string = 1*atext *("." 1*atext) */
bool addr_is_dot_string(struct span local)
{
	bool is_dot_allowed = false;

	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '.' ? !is_dot_allowed : !addr_is_atext(local.p[i]))
			return false;
		is_dot_allowed = local.p[i] != '.';
	}
	return is_dot_allowed;
}

static void quote_local(struct buf *out, struct span local)
{
	buf_char(out, '"');
	for (size_t i = 0; i < local.n; i++) {
		char c = local.p[i];

		if (c == '"' || c == '\\' || (unsigned char)c < 0x20 || c == 0x7f)
			buf_char(out, '\\');
		buf_char(out, c);
	}
	buf_char(out, '"');
}

bool addr_quote(struct buf *out, struct span internal)
{
	struct addr addr = addr_split(internal);

	if (internal.n == 0)
		return true;
	if (addr_is_dot_string(addr.local))
		return buf_add(out, internal);
	quote_local(out, addr.local);
	if (addr.has_domain) {
		buf_char(out, '@');
		buf_add(out, addr.domain);
	}
	return !buf_is_over(out);
}
