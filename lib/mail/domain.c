/* SPDX-License-Identifier: MIT */
/*
 * Syntax of domains; see domain.h. Runs in every process on names from peers, DNS answers,
 * tables and configuration. RFC 1123 2.1, RFC 5321 2.3.5, 4.1.3 and 4.5.3.1.2.
 */

#include "mail/domain.h"
#include "base/ip.h"


static bool is_name_char(char c, bool may_be_utf8)
{
	return ascii_is_alnum(c) || c == '-' || c == '_' ||
	       (may_be_utf8 && (unsigned char)c > 0x7f);
}

/* label = let-dig-8bit *(let-dig-8bit / "-")    ; at most 63, no "-" at either end */
static enum domain_status check_label(struct span label, bool may_be_utf8, bool *is_numeric)
{
	if (label.n == 0)
		return DOMAIN_EMPTY;
	for (size_t i = 0; i < label.n; i++) {
		if (!is_name_char(label.p[i], may_be_utf8))
			return DOMAIN_BAD_CHAR;
		if (!ascii_is_digit(label.p[i]))
			*is_numeric = false;
	}
	if (label.n > DOMAIN_LABEL_MAX)
		return DOMAIN_TOO_LONG;
	if (label.p[0] == '-' || label.p[label.n - 1] == '-')
		return DOMAIN_BAD_HYPHEN;
	return DOMAIN_OK;
}

/* name = label *("." label) */
enum domain_status domain_check_name(struct span name, bool may_be_utf8)
{
	struct span label, rest = name;
	bool is_numeric = true, has_more;
	enum domain_status status;

	if (name.n > DOMAIN_NAME_MAX)
		return DOMAIN_TOO_LONG;
	do {
		label = rest;
		has_more = span_cut(rest, '.', &label, &rest);
		status = check_label(label, may_be_utf8, &is_numeric);
	} while (status == DOMAIN_OK && has_more);
	if (status == DOMAIN_OK && is_numeric)
		return DOMAIN_NUMERIC;
	return status;
}

/* literal = "[" ( IPv4 / "IPv6:" IPv6 ) "]" */
enum domain_status domain_check_literal(struct span text, struct ip_addr *ret_addr)
{
	struct span inner;
	struct ip_addr addr;
	enum ip_family want = IP_V4;

	if (text.n < 3 || text.p[0] != '[' || text.p[text.n - 1] != ']')
		return DOMAIN_BAD_LITERAL;
	inner = (struct span){ text.p + 1, text.n - 2 };
	if (span_starts_nocase(inner, SPAN("IPv6:"))) {
		inner = span_from(inner, 5);
		want = IP_V6;
	}
	if (!ip_parse(inner, &addr) || addr.family != want)
		return DOMAIN_BAD_LITERAL;
	if (ret_addr != NULL)
		*ret_addr = addr;
	return DOMAIN_OK;
}

enum domain_status domain_check(struct span domain, bool may_be_utf8)
{
	if (domain.n > 0 && domain.p[0] == '[')
		return domain_check_literal(domain, NULL);
	return domain_check_name(domain, may_be_utf8);
}

const char *domain_status_text(enum domain_status status)
{
	static const char *const texts[] = {
		[DOMAIN_OK] = "valid",
		[DOMAIN_EMPTY] = "empty name or label",
		[DOMAIN_TOO_LONG] = "name or label too long",
		[DOMAIN_BAD_CHAR] = "character that a name may not have",
		[DOMAIN_BAD_HYPHEN] = "hyphen at an end of a label",
		[DOMAIN_NUMERIC] = "numeric name",
		[DOMAIN_BAD_LITERAL] = "bad address literal",
	};

	return texts[status];
}

struct span domain_parent(struct span name)
{
	size_t dot;

	return span_chr(name, '.', &dot) ? span_from(name, dot + 1) : span_from(name, name.n);
}

bool domain_is_within(struct span name, struct span parent)
{
	if (!span_ends_nocase(name, parent) || parent.n == 0)
		return false;
	return name.n == parent.n || name.p[name.n - parent.n - 1] == '.';
}
