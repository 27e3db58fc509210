/* SPDX-License-Identifier: MIT */
/* Parts of an address: quoting, extensions, VERP, domains. SENDER LF RECIPIENT. */

#include <stdlib.h>

#include "base/buf.h"
#include "mail/addr.h"
#include "mail/addr_ext.h"
#include "mail/domain.h"
#include "mail/verp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct addr_ext_rules rules[] = { { SPAN("+-"), true }, { SPAN("+"), false },
						{ SPAN(""), false } };
	struct span input = { (const char *)data, size }, sender, rcpt, user, ext;
	struct buf out = BUF_INIT(1 << 24);

	if (!span_cut(input, '\n', &sender, &rcpt))
		return 0;

	struct addr parts = addr_split(sender);

	if (parts.local.n + parts.domain.n + parts.has_domain != sender.n)
		abort();
	if (!addr_quote(&out, sender) || out.length < sender.n)
		abort();
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (addr_ext_split(parts.local, &rules[i], &user, &ext) &&
		    user.n + 1 + ext.n != parts.local.n)
			abort();
	(void)addr_ext_join(&out, sender, rcpt);
	(void)!domain_check(parts.domain, true);
	(void)domain_status_text(domain_check(rcpt, false));
	(void)domain_parent(rcpt);
	(void)verp_are_delimiters(span_first(rcpt, 2), SPAN("-=+"));
	(void)verp_sender(&out, SPAN("+="), sender, rcpt, "double-bounce");
	buf_done(&out);
	return 0;
}
