/* SPDX-License-Identifier: MIT */
/* Headers of any message. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "mail/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_line_end(struct span s)
{
	return span_has(s, '\n') || span_has(s, '\r');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span head = { (const char *)data, size }, rest = head, line;
	struct buf out = BUF_INIT(1 << 24);
	struct header header;
	size_t bytes = 0;

	while (header_next(&rest, &header)) {
		bytes += header.raw.n;
		if (header.name.n == 0 || header.info == NULL)
			abort();
		buf_reset(&out);
		if (!header_unfold(&out, header.value) || has_line_end(buf_span(&out)))
			abort();
		(void)header_has_delivered_to(head, buf_span(&out));
	}
	if (bytes + rest.n != size)
		abort();
	for (rest = head; span_line(&rest, &line);) {
		(void)header_is_continuation(line);
		(void)header_is_mailbox_line(line);
	}
	(void)header_count(head, HEADER_RECEIVED);
	buf_done(&out);
	return 0;
}
