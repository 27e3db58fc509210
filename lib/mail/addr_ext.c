/* SPDX-License-Identifier: MIT */
/* Address extensions; see addr_ext.h. Runs where addresses are looked up. postconf(5). */

#include "mail/addr_ext.h"

#include "base/buf.h"
#include "mail/addr.h"

static bool is_reserved(struct span local)
{
	return span_is_nocase(local, "postmaster") || span_is_nocase(local, "mailer-daemon") ||
	       span_is_nocase(local, "double-bounce");
}

static bool is_list_helper(struct span local)
{
	return span_starts_nocase(local, SPAN("owner-")) ||
	       span_ends_nocase(local, SPAN("-request"));
}

bool addr_ext_split(struct span local, const struct addr_ext_rules *rules, struct span *ret_user,
		    struct span *ret_ext)
{
	if (rules->delimiters.n == 0 || is_reserved(local))
		return false;
	if (rules->is_owner_special && span_has(rules->delimiters, '-') && is_list_helper(local))
		return false;
	for (size_t i = 0; i < local.n; i++) {
		if (!span_has(rules->delimiters, local.p[i]))
			continue;
		if (i == 0)
			return false;
		*ret_user = span_first(local, i);
		*ret_ext = span_from(local, i + 1);
		return true;
	}
	return false;
}

bool addr_ext_join(struct buf *out, struct span address, struct span suffix)
{
	struct addr addr = addr_split(address);

	buf_add(out, addr.local);
	buf_add(out, suffix);
	return buf_add(out, span_from(address, addr.local.n));
}
