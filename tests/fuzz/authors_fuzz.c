/* SPDX-License-Identifier: MIT */
/* From: of any message: what the strict reader takes, the lax one reads in the same way. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "mail/addr_list.h"
#include "mail/authors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span value = { (const char *)data, size }, rest, line;
	struct buf strict = BUF_INIT(1 << 24), lax = BUF_INIT(1 << 24);
	struct addr_list list;
	struct addr_item item;

	if (authors_read(&strict, value)) {
		rest = buf_span(&strict);
		addr_list_init(&list, value);
		while (addr_list_next(&list, &item)) {
			buf_reset(&lax);
			(void)addr_item_internal(&lax, &item);
			if (!span_line(&rest, &line) || !span_eq(line, buf_span(&lax)))
				abort();
		}
		if (rest.n > 0 || strict.length == 0)
			abort();
	}
	buf_done(&strict);
	buf_done(&lax);
	return 0;
}
