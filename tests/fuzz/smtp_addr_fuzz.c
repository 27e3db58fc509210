/* SPDX-License-Identifier: MIT */
/* Envelope paths: what comes out is clean, and goes back in when it is quoted. */

#include <stdlib.h>

#include "base/buf.h"
#include "mail/addr.h"
#include "mail/smtp_addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span path = { (const char *)data + 1, size - 1 };
	struct buf out = BUF_INIT(1 << 20), quoted = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);

	if (size < 1)
		return 0;
	if (smtp_addr_length(path) > path.n)
		abort();
	if (smtp_addr_parse(path, data[0], &out) == SMTP_ADDR_OK && buf_span(&out).n > 0) {
		unsigned flags = (data[0] | SMTP_ADDR_MIN_USER) &
				 ~(unsigned)(SMTP_ADDR_STRICT | SMTP_ADDR_EXACT | SMTP_ADDR_LIMITS);

		buf_char(&quoted, '<');
		addr_quote(&quoted, buf_span(&out));
		buf_char(&quoted, '>');
		if (smtp_addr_parse(buf_span(&quoted), flags, &again) != SMTP_ADDR_OK ||
		    !span_eq(buf_span(&out), buf_span(&again)))
			abort();
	}
	buf_done(&out);
	buf_done(&quoted);
	buf_done(&again);
	return 0;
}
