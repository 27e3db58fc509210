/* SPDX-License-Identifier: MIT */
/* Line ends and quoting of mailbox text: where the blocks end must make no difference. */

#include "deliver/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void convert(struct span text, size_t step, unsigned flags, struct buf *out)
{
	struct message_format format = { .flags = flags };
	struct message_lines lines = { .format = &format, .out = out };

	for (; text.n > 0; text = span_from(text, step))
		message_lines_add(&lines, span_first(text, step));
	message_lines_end(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, parts;
	struct span text;

	if (size < 2)
		return 0;
	text = (struct span){ (const char *)data + 2, size - 2 };
	buf_init(&whole, BUF_LIMIT_DEFAULT);
	buf_init(&parts, BUF_LIMIT_DEFAULT);
	convert(text, size, data[0] & 3, &whole);
	convert(text, 1 + data[1] % 16, data[0] & 3, &parts);
	if (!span_eq(buf_span(&whole), buf_span(&parts)))
		__builtin_trap();
	buf_done(&whole);
	buf_done(&parts);
	return 0;
}
