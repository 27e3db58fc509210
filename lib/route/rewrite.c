/* SPDX-License-Identifier: MIT */
/*
 * Addresses to standard form; see route.h. Runs in cleanup, smtpd and whoever resolves. It
 * works on text from peers and users. ADDRESS_REWRITING_README, trivial-rewrite(8).
 */

#include "mail/addr.h"
#include "route/parts.h"
#include "route/route.h"

struct span route_strip_route(struct span address)
{
	size_t i;

	while (address.n > 0 && address.p[0] == '@') {
		bool is_literal = false;

		for (i = 1; i < address.n; i++) {
			char c = address.p[i];

			if (c == '[' || c == ']')
				is_literal = c == '[';
			else if (c == ':' && !is_literal)
				break;
		}
		if (i >= address.n)
			break;
		address = span_from(address, i + 1);
	}
	return address;
}

bool route_swap_local(const struct route_config *config, struct span local, struct span *ret_user,
		      struct span *ret_domain)
{
	size_t at;

	if (config->swap_bangpath && span_chr(local, '!', &at)) {
		*ret_domain = span_first(local, at);
		*ret_user = span_from(local, at + 1);
		return true;
	}
	if (config->allow_percent_hack && span_rchr(local, '%', &at)) {
		*ret_user = span_first(local, at);
		*ret_domain = span_from(local, at + 1);
		return true;
	}
	return false;
}

/* "d.test." to "d.test"; ".." and a lone "." stay as the errors they are. */
struct span route_strip_dot(struct span domain)
{
	if (domain.n > 1 && domain.p[domain.n - 1] == '.' && domain.p[domain.n - 2] != '.')
		domain.n--;
	return domain;
}

static bool is_incomplete(struct span domain)
{
	return domain.n > 0 && domain.p[0] != '[' && !span_has(domain, '.');
}

bool route_rewrite(const struct route_config *config, enum route_context context,
		   struct span address, struct buf *out)
{
	struct span origin = config->myorigin, parent = config->mydomain;
	bool has_dot = span_ends(address, SPAN("."));
	struct addr addr;

	if (context == ROUTE_REMOTE)
		origin = parent = config->remote_header_rewrite_domain;
	address = route_strip_route(address);
	if (address.n == 0 || span_is(address, "@"))
		return true;
	addr = addr_split(address);
	if (!addr.has_domain && route_swap_local(config, addr.local, &addr.local, &addr.domain)) {
		addr.has_domain = true;
	} else if (!addr.has_domain && config->append_at_myorigin && origin.n > 0) {
		addr.domain = origin;
		addr.has_domain = true;
		has_dot = false;
	}
	buf_add(out, addr.local);
	if (!addr.has_domain)
		return !buf_is_over(out);
	addr.domain = route_strip_dot(addr.domain);
	buf_char(out, '@');
	buf_add(out, addr.domain);
	/* "user@host." says that the name is complete. */
	if (config->append_dot_mydomain && parent.n > 0 && !has_dot && is_incomplete(addr.domain)) {
		buf_char(out, '.');
		buf_add(out, parent);
	}
	return !buf_is_over(out);
}
