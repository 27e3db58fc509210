/* SPDX-License-Identifier: MIT */
/* Address lists: a list that nobody changes stays, and a changed one has as many addresses. */

#include <stdlib.h>

#include "base/buf.h"
#include "mail/addr_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum addr_change keep(void *context UNUSED, struct span internal UNUSED,
			     struct buf *replacement UNUSED)
{
	return ADDR_KEEP;
}

static enum addr_change replace(void *context, struct span internal, struct buf *replacement)
{
	size_t *count = context;

	for (size_t i = 0; i < internal.n; i++)
		if (internal.p[i] == '\r' || internal.p[i] == '\n' || internal.p[i] == '\0')
			abort();
	++*count;
	buf_text(replacement, "a b@c.test");
	return ADDR_REPLACE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	struct buf out = BUF_INIT(1 << 24), again = BUF_INIT(1 << 24);
	size_t count = 0;

	if (addr_list_rewrite(&out, text, 3, "\n", keep, NULL) != ADDR_REWRITE_SAME ||
	    buf_span(&out).n != 0)
		abort();
	if (addr_list_rewrite(&out, text, 3, "\n", replace, &count) == ADDR_REWRITE_CHANGED &&
	    count == 0)
		abort();
	(void)addr_list_rewrite(&again, buf_span(&out), 3, "\r\n", replace, &count);
	buf_done(&out);
	buf_done(&again);
	return 0;
}
