/* SPDX-License-Identifier: MIT */
/*
 * Envelope paths; see smtp_addr.h. Runs in smtpd, on what the peer sent. RFC 5321 4.1.2,
 * 4.5.3.1 and appendix C, RFC 6531 3.3. What people send is nearly always plain, and takes the
 * short way through take_exact(); the rest goes through the address list reader unless the
 * flags forbid it.
 */

#include "mail/smtp_addr.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "mail/addr.h"
#include "mail/addr_list.h"
#include "mail/domain.h"

enum { LOCAL_PART_MAX = 64, PATH_MAX_BYTES = 256 };

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

/*
 *	route = "@" domain *("," "@" domain) ":"
 * The offset behind it, or 0 when there is none. The domains are dropped unseen, but for
 * the bytes that they may have.
 */
static size_t route_length(struct span s)
{
	bool is_literal = false;

	if (s.n == 0 || s.p[0] != '@')
		return 0;
	for (size_t i = 1; i < s.n; i++) {
		char c = s.p[i];

		if (c == '[' || c == ']')
			is_literal = c == '[';
		else if (c == ':' && !is_literal)
			return i + 1;
		else if (c != '@' && c != ',' && c != '.' && c != ':' && !addr_is_atext(c))
			return 0;
	}
	return 0;
}

/* local-part = 1*(atext / ".") / quoted ; the offset behind it, or 0 */
static size_t local_length(struct span s)
{
	size_t i = 0;

	if (s.n > 0 && s.p[0] == '"') {
		for (i = 1; i < s.n && s.p[i] != '"'; i++)
			if (s.p[i] == '\\')
				i++;
		return i < s.n ? i + 1 : 0;
	}
	while (i < s.n && (addr_is_atext(s.p[i]) || s.p[i] == '.'))
		i++;
	return i;
}

/*
 *	path = "<" [route] local-part ["@" domain] ">" / "<>"
 * The dots of the local part are not looked at: there are mailboxes like "a..b". False when
 * it is anything else, with nothing appended.
 */
static bool take_exact(struct span path, struct buf *out)
{
	struct span inner, local, rest, domain;
	enum domain_status status;

	if (path.n < 2 || path.p[0] != '<' || path.p[path.n - 1] != '>')
		return false;
	inner = (struct span){ path.p + 1, path.n - 2 };
	if (inner.n == 0)
		return true;
	inner = span_from(inner, route_length(inner));
	local = span_first(inner, local_length(inner));
	rest = span_from(inner, local.n);
	if (local.n == 0 || span_is(local, "\"\""))
		return false;
	if (rest.n > 0) {
		domain = span_from(rest, 1);
		status = domain_check(span_first(domain, domain.n - span_ends(domain, SPAN("."))),
				      true);
		if (rest.p[0] != '@' || (status != DOMAIN_OK && status != DOMAIN_NUMERIC))
			return false;
	}
	if (local.p[0] != '"')
		return buf_add(out, inner);
	for (size_t i = 1; i + 1 < local.n; i++) {
		if (local.p[i] == '\\')
			i++;
		buf_char(out, local.p[i]);
	}
	return buf_add(out, rest);
}

/* Anything with at most one address in it. */
static bool take_lax(struct span path, bool is_strict, struct buf *out)
{
	struct span inner = span_trim(path);
	struct addr_list list;
	struct addr_item item, more;
	size_t route;
	bool has_brackets = inner.n >= 2 && inner.p[0] == '<' && inner.p[inner.n - 1] == '>';
	bool has_item;

	if (has_brackets)
		inner = (struct span){ inner.p + 1, inner.n - 2 };
	for (unsigned routes = 0; (route = route_length(inner)) > 0; routes++) {
		if (is_strict && routes > 0)
			return false;
		inner = span_from(inner, route);
	}
	addr_list_init(&list, inner);
	has_item = addr_list_next(&list, &item);
	if (has_item && (addr_list_next(&list, &more) || !addr_item_internal(out, &item)))
		return false;
	if (addr_list_is_malformed(&list))
		return false;
	return !is_strict || (has_brackets && has_item && !addr_list_has_comment(&list));
}

/* What the grammar leaves open: lengths, host name rules, characters that flags forbid. */
static enum smtp_addr_status check(struct span internal, struct span path, unsigned flags)
{
	struct addr addr = addr_split(internal);
	enum domain_status status;
	bool is_strict = (flags & (SMTP_ADDR_STRICT | SMTP_ADDR_EXACT)) != 0;

	if (internal.n == 0)
		return SMTP_ADDR_OK;
	if (is_strict && (addr.local.n == 0 || addr.local.p[0] == '@'))
		return SMTP_ADDR_SYNTAX;
	if ((flags & SMTP_ADDR_LIMITS) != 0 &&
	    (addr.local.n > LOCAL_PART_MAX || path.n > PATH_MAX_BYTES))
		return SMTP_ADDR_SYNTAX;
	if (addr.local.n > 0 && addr.local.p[0] == '-' && (flags & SMTP_ADDR_MIN_USER) == 0)
		return SMTP_ADDR_SYNTAX;
	if ((flags & SMTP_ADDR_ASCII) != 0 && utf8_has_8bit(internal))
		return SMTP_ADDR_NEEDS_UTF8;
	if (!addr.has_domain)
		return SMTP_ADDR_OK;
	if (addr.domain.n > 1 && addr.domain.p[addr.domain.n - 1] == '.')
		addr.domain.n--;
	status = domain_check(addr.domain, (flags & SMTP_ADDR_UTF8) != 0);
	if (status == DOMAIN_OK || (status == DOMAIN_NUMERIC && (flags & SMTP_ADDR_NUMERIC) != 0))
		return SMTP_ADDR_OK;
	return SMTP_ADDR_SYNTAX;
}

enum smtp_addr_status smtp_addr_parse(struct span path, unsigned flags, struct buf *out)
{
	size_t start = buf_span(out).n;
	enum smtp_addr_status status = SMTP_ADDR_SYNTAX;

	if (has_control(path) || !utf8_is_valid(path))
		return SMTP_ADDR_SYNTAX;
	if (take_exact(path, out) || ((flags & SMTP_ADDR_EXACT) == 0 &&
				      take_lax(path, (flags & SMTP_ADDR_STRICT) != 0, out)))
		status = check(span_from(buf_span(out), start), path, flags);
	if (status != SMTP_ADDR_OK)
		buf_truncate(out, start);
	return status;
}

/* The ">" that closes `args`, quotes respected; 0 when there is none. */
static size_t bracket_end(struct span args)
{
	bool is_quoted = false;

	for (size_t i = 1; i < args.n; i++) {
		if (args.p[i] == '\\')
			i++;
		else if (args.p[i] == '"')
			is_quoted = !is_quoted;
		else if (args.p[i] == '>' && !is_quoted)
			return i;
	}
	return 0;
}

size_t smtp_addr_length(struct span args)
{
	bool is_quoted = false;
	size_t i = args.n > 0 && args.p[0] == '<' ? bracket_end(args) : 0;

	for (; i < args.n; i++) {
		if (args.p[i] == '\\')
			i++;
		else if (args.p[i] == '"')
			is_quoted = !is_quoted;
		else if ((args.p[i] == ' ' || args.p[i] == '\t') && !is_quoted)
			break;
	}
	return i < args.n ? i : args.n;
}
