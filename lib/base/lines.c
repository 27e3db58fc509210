/* SPDX-License-Identifier: MIT */
/* Logical lines of configuration files and table sources; see lines.h. */

#include "base/lines.h"

void lines_init(struct lines *lines, struct span text)
{
	*lines = (struct lines){ .rest = text, .next_line = 1 };
	buf_init(&lines->text, text.n + 1);
}

void lines_done(struct lines *lines)
{
	buf_done(&lines->text);
}

static bool says_nothing(struct span line)
{
	struct span text = span_trim(line);

	return text.n == 0 || text.p[0] == '#';
}

bool lines_next(struct lines *lines, struct span *ret_line, unsigned *ret_number)
{
	struct span rest = lines->rest, line;
	bool is_open = false;

	buf_reset(&lines->text);
	while (span_line(&rest, &line)) {
		unsigned number = lines->next_line;

		if (!says_nothing(line)) {
			if (is_open && !ascii_is_blank(line.p[0]))
				break;
			if (!is_open) {
				*ret_number = number;
				lines->source.p = line.p;
			}
			is_open = true;
			(void)buf_add(&lines->text, line);
			lines->source.n = (size_t)(rest.p - lines->source.p);
		}
		lines->rest = rest;
		lines->next_line = number + 1;
	}
	if (!is_open)
		return false;
	buf_truncate(&lines->text, span_trim_right(buf_span(&lines->text)).n);
	*ret_line = buf_span(&lines->text);
	return true;
}
