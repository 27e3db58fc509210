/* SPDX-License-Identifier: MIT */
/* MIME structure and conversion: every body byte comes out, and tagged bodies come out 7bit. */

#include <stdlib.h>

#include "base/buf.h"
#include "mail/mime_7bit.h"
#include "mail/mime_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_line(void *context, struct span text, bool has_line_end)
{
	buf_add(context, text);
	buf_text(context, has_line_end ? "\n" : "");
}

static void on_header(void *context UNUSED, enum mime_head head UNUSED, const struct header *header)
{
	if (header->raw.n == 0 || header->raw.p[header->raw.n - 1] != '\n' || header->name.n == 0)
		abort();
}

static void on_head_end(void *context, enum mime_head head UNUSED, enum mime_end end,
			const struct mime_part *part UNUSED)
{
	if (end == MIME_END_BLANK)
		++*(size_t *)context;
}

static void on_body(void *context, struct span line, bool has_line_end, uint64_t offset UNUSED)
{
	*(size_t *)context += line.n + has_line_end;
}

static void on_boundary(void *context, struct span line, bool has_line_end)
{
	on_body(context, line, has_line_end, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mime_events events = { on_header, on_head_end, on_body, on_boundary };
	struct mime_7bit_rules rules = { { 300, 70, 5, false, true }, true };
	struct span rest = { (const char *)data, size }, line;
	struct buf out = BUF_INIT(1 << 24);
	size_t body_bytes = 0;
	struct mime *mime = mime_new(&rules.mime, &events, &body_bytes);
	struct mime_7bit *conversion = mime_7bit_new(&rules, on_line, &out);

	(void)mime_value_param(&out, rest, "b");
	(void)mime_value_pieces(&out, rest, "b");
	while (span_line(&rest, &line)) {
		size_t cut = line.n > 40 ? 40 : line.n;

		if (cut < line.n) {
			mime_line(mime, span_first(line, cut), false);
			mime_7bit_line(conversion, span_first(line, cut), false);
			line = span_from(line, cut);
		}
		mime_line(mime, line, true);
		mime_7bit_line(conversion, line, true);
	}
	mime_finish(mime);
	mime_7bit_finish(conversion);
	if (body_bytes > size + 1)
		abort();
	mime_free(mime);
	mime_7bit_free(conversion);
	buf_done(&out);
	return 0;
}
