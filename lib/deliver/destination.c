/* SPDX-License-Identifier: MIT */
/*
 * Destinations of aliases and .forward files; see destination.h. What is read was written by the
 * administrator or by a user, who is not trusted. Pure, linear, and does not recurse.
 */

#include "deliver/destination.h"

enum { DESTINATION_MAX = 64 * 1024 };

void destination_start(struct destination_reader *reader, struct span text, bool has_comments)
{
	*reader = (struct destination_reader){ .rest = text, .has_comments = has_comments };
	buf_init(&reader->text, DESTINATION_MAX);
	addr_list_init(&reader->list, (struct span){ NULL, 0 });
}

void destination_done(struct destination_reader *reader)
{
	buf_done(&reader->text);
}

static bool next_line(struct destination_reader *reader)
{
	struct span line, trimmed;

	while (span_line(&reader->rest, &line)) {
		trimmed = span_trim(line);
		if (trimmed.n == 0 || (reader->has_comments && trimmed.p[0] == '#'))
			continue;
		addr_list_init(&reader->list, line);
		return true;
	}
	return false;
}

static void classify(struct span text, bool is_escaped, struct destination *ret)
{
	static const struct span include = { ":include:", 9 };

	*ret = (struct destination){ DESTINATION_ADDRESS, text };
	if (is_escaped || text.p[0] == '\\') {
		ret->kind = DESTINATION_MAILBOX;
		ret->text = span_from(text, is_escaped ? 0 : 1);
	} else if (text.p[0] == '|') {
		ret->kind = DESTINATION_COMMAND;
		ret->text = span_trim(span_from(text, 1));
	} else if (text.p[0] == '/') {
		ret->kind = DESTINATION_FILE;
	} else if (span_starts_nocase(text, include)) {
		ret->kind = DESTINATION_INCLUDE;
		ret->text = span_trim(span_from(text, include.n));
	}
}

bool destination_next(struct destination_reader *reader, struct destination *ret)
{
	struct addr_item item;

	for (;;) {
		while (!addr_list_next(&reader->list, &item))
			if (!next_line(reader))
				return false;
		buf_reset(&reader->text);
		if (!addr_item_internal(&reader->text, &item) || reader->text.length == 0)
			continue;
		/* The address grammar takes the backslash of \name away. */
		classify(buf_span(&reader->text), item.raw.n > 0 && item.raw.p[0] == '\\', ret);
		if (ret->text.n > 0)
			return true;
	}
}
