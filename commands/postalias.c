/* SPDX-License-Identifier: MIT */
/*
 * postalias(1): makes, changes and asks alias databases. All but the format of the source,
 * "name: value, value" (aliases(5)), is postmap's. Runs as its caller; see postmap/tool.c.
 */

#include <stdlib.h>

#include "base/log.h"
#include "commands/postmap/tool.h"
#include "table/source.h"

/* Position of the ":" behind the name, outside quotes. */
static bool find_colon(struct span line, size_t *ret_at)
{
	bool is_quoted = false;

	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] == '\\')
			i++;
		else if (line.p[i] == '"')
			is_quoted = !is_quoted;
		else if (line.p[i] == ':' && !is_quoted) {
			*ret_at = i;
			return true;
		}
	}
	return false;
}

/* The name as it is looked up: no quotes, one space between its words. */
static void add_name(struct span name, struct buf *ret_key, bool *ret_is_local)
{
	bool is_quoted = false;

	*ret_is_local = true;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (c == '"') {
			is_quoted = !is_quoted;
			continue;
		}
		if (c == '\\' && i + 1 < name.n)
			c = name.p[++i];
		else if (c == '@' && !is_quoted)
			*ret_is_local = false;
		else if (ascii_is_blank(c) && !is_quoted) {
			if (ascii_is_blank(name.p[i + 1]))
				continue;
			c = ' ';
		}
		buf_char(ret_key, c);
	}
}

/* The value with "a, b" between its parts, whatever blanks and line breaks were there. */
static bool add_value(struct span value, struct buf *ret)
{
	bool is_quoted = false, has_blank = false;

	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];

		if (!is_quoted && ascii_is_blank(c)) {
			has_blank = true;
			continue;
		}
		if (has_blank && c != ',')
			buf_char(ret, ' ');
		buf_char(ret, c);
		has_blank = !is_quoted && c == ',';
		if (c == '"')
			is_quoted = !is_quoted;
		else if (c == '\\' && i + 1 < value.n)
			buf_char(ret, value.p[++i]);
	}
	return !is_quoted;
}

/* line = name *blank ":" *blank value; name = quoted-string / words */
static bool split_alias(const char *file, unsigned line, struct span text, struct buf *ret_key,
			struct buf *ret_value)
{
	struct span value;
	size_t colon;
	bool is_local = true, is_whole = false;

	buf_reset(ret_key);
	buf_reset(ret_value);
	if (source_is_stray(file, line, text))
		return false;
	if (find_colon(text, &colon)) {
		add_name(span_trim(span_first(text, colon)), ret_key, &is_local);
		value = span_trim(span_from(text, colon + 1));
		is_whole = add_value(value, ret_value) && value.n > 0 && buf_span(ret_key).n > 0;
	}
	if (!is_whole)
		log_warn("%s, line %u: need name:value pair", file, line);
	else if (!is_local)
		log_warn("%s, line %u: name must be local", file, line);
	return is_whole && is_local;
}

int main(int argc, char **argv)
{
	static const struct tool_format format = {
		.name = "postalias",
		.usage = "[-fijnNoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...",
		.letters = "c:d:fijnNopq:rsuvw",
		.separator = ":\t",
		.split = split_alias,
	};

	return tool_main(argc, argv, &format);
}
