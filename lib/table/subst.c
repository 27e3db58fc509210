/* SPDX-License-Identifier: MIT */
/* Substitution of matched groups into results; see subst.h. Parsed once, at load. */

#include "table/subst.h"

#include <string.h>

enum { GROUP_MAX = 9999 };

/*
 * reference = "$" ( "$" / number / "{" number "}" / "(" number ")" )
 * Reads what follows a "$"; *ret_length is how much of `text` it takes.
 */
static bool parse_reference(struct span text, struct subst_part *ret, size_t *ret_length,
			    struct buf *ret_error)
{
	char open = text.n > 0 ? text.p[0] : '\0';
	struct span name;
	uint64_t group;
	size_t end;

	if (open == '$') {
		*ret = (struct subst_part){ .text = span_first(text, 1) };
		*ret_length = 1;
		return true;
	}
	if (open == '{' || open == '(') {
		if (!span_chr(text, open == '{' ? '}' : ')', &end)) {
			buf_printf(ret_error, "truncated macro reference: \"%.*s\"", SPAN_ARG(text));
			return false;
		}
		name = span_from(span_first(text, end), 1);
		*ret_length = end + 1;
	} else {
		for (end = 0; end < text.n && (ascii_is_alnum(text.p[end]) || text.p[end] == '_');)
			end++;
		name = span_first(text, end);
		*ret_length = end;
	}
	if (name.n == 0) {
		buf_printf(ret_error, "empty macro name: \"$%.*s\"", SPAN_ARG(text));
		return false;
	}
	if (!span_u64(name, GROUP_MAX, &group)) {
		buf_printf(ret_error, "non-numeric replacement index \"%.*s\"", SPAN_ARG(name));
		return false;
	}
	if (group == 0) {
		buf_printf(ret_error, "out of range replacement index \"%.*s\"", SPAN_ARG(name));
		return false;
	}
	*ret = (struct subst_part){ .group = (size_t)group };
	return true;
}

static size_t count_dollars(struct span text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.n; i++)
		count += text.p[i] == '$';
	return count;
}

bool subst_parse(struct span text, struct arena *arena, struct subst *ret, struct buf *ret_error)
{
	size_t most = 2 * count_dollars(text) + 1, at, length;
	struct subst subst = { .parts = arena_alloc(arena, most * sizeof(*subst.parts)) };

	while (span_chr(text, '$', &at)) {
		if (at > 0)
			subst.parts[subst.count++].text = span_first(text, at);
		text = span_from(text, at + 1);

		struct subst_part *part = &subst.parts[subst.count++];

		if (!parse_reference(text, part, &length, ret_error))
			return false;
		if (part->group > subst.highest_group)
			subst.highest_group = part->group;
		text = span_from(text, length);
	}
	if (text.n > 0)
		subst.parts[subst.count++].text = text;
	*ret = subst;
	return true;
}

bool subst_expand(const struct subst *subst, const struct span *groups, struct buf *out)
{
	for (size_t i = 0; i < subst->count; i++) {
		const struct subst_part *part = &subst->parts[i];

		if (!buf_add(out, part->group > 0 ? groups[part->group] : part->text))
			return false;
	}
	return true;
}
