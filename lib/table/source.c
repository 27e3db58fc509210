/* SPDX-License-Identifier: MIT */
/* Lines of table sources; see source.h. Trusts nothing, allocates nothing. */

#include "table/source.h"

#include "table/backend.h"

/* Length of the key at the start of `line`; false when a quote is left open. */
static bool key_length(struct span line, size_t *ret_length)
{
	bool is_quoted = false;
	size_t i;

	for (i = 0; i < line.n && (is_quoted || !ascii_is_blank(line.p[i])); i++) {
		if (line.p[i] == '\\' && i + 1 < line.n)
			i++;
		else if (line.p[i] == '"')
			is_quoted = !is_quoted;
	}
	*ret_length = i;
	return !is_quoted;
}

bool source_is_stray(const char *file, unsigned number, struct span line)
{
	if (line.n == 0 || !ascii_is_blank(line.p[0]))
		return false;
	table_warn("%s, line %u: logical line must not start with whitespace: \"%.*s\"", file,
		   number, SPAN_ARG(span_first(line, 30)));
	return true;
}

bool source_split(const char *file, unsigned number, struct span line, struct span *ret_key,
		  struct span *ret_value)
{
	size_t length;

	if (source_is_stray(file, number, line))
		return false;
	if (!key_length(line, &length)) {
		table_warn("%s, line %u: unbalanced '\"' in '%.*s' -- ignoring this line", file,
			   number, SPAN_ARG(line));
		return false;
	}

	struct span key = span_first(line, length), value = span_trim(span_from(line, length));

	if (key.n == 0 || value.n == 0) {
		table_warn("%s, line %u: expected format: key whitespace value -- ignoring this line",
			   file, number);
		return false;
	}
	if (key.p[key.n - 1] == ':')
		table_warn("%s, line %u: record is in \"key: value\" format; is this an alias file?",
			   file, number);
	*ret_key = key;
	*ret_value = value;
	return true;
}
