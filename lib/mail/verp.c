/* SPDX-License-Identifier: MIT */
/* VERP; see verp.h. Runs in qmgr and bounce, on addresses in internal form. */

#include "mail/verp.h"

#include "base/buf.h"
#include "mail/addr.h"

bool verp_are_delimiters(struct span delimiters, struct span allowed)
{
	return delimiters.n == 2 && span_has(allowed, delimiters.p[0]) &&
	       span_has(allowed, delimiters.p[1]);
}

struct span verp_rcpt(struct span orig_address, struct span address)
{
	return orig_address.n > 0 ? orig_address : address;
}

bool verp_sender(struct buf *out, struct span delimiters, struct span sender,
		 struct span recipient, const char *double_bounce)
{
	struct addr from = addr_split(sender), to = addr_split(recipient);

	if (sender.n == 0 || delimiters.n < 2 || span_is_nocase(from.local, double_bounce))
		return buf_add(out, sender);
	buf_add(out, from.local);
	buf_char(out, delimiters.p[0]);
	buf_add(out, to.local);
	if (to.has_domain) {
		buf_char(out, delimiters.p[1]);
		buf_add(out, to.domain);
	}
	return buf_add(out, span_from(sender, from.local.n));
}
