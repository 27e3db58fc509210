/* SPDX-License-Identifier: MIT */
/* The output forms of postconf(1): settings and master.cf entries, folded or not, and JSON. */

#include "postconf.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

/* Where -f folds settings and entries of master.cf: the longest line. */
enum { SETTING_WIDTH = 80, SERVICE_WIDTH = 79 };

#define FOLD_INDENT "    "

/* Appends a word behind a single blank, or on a new line when this one would pass `width`. */
static void put_word(struct buf *out, size_t *column, struct span word, size_t width)
{
	if (*column > 0 && *column + 1 + word.n > width) {
		buf_text(out, "\n" FOLD_INDENT);
		*column = sizeof(FOLD_INDENT) - 1;
	} else if (*column > 0) {
		buf_char(out, ' ');
		(*column)++;
	}
	buf_add(out, word);
	*column += word.n;
}

void print_setting(const struct postconf *pc, const char *label, const char *value)
{
	struct buf out = BUF_INIT(BUF_LIMIT_DEFAULT);
	struct span rest = span_of(value), word;
	size_t column = 0, width = pc->folds ? SETTING_WIDTH : SIZE_MAX;

	if (pc->hides_values) {
		buf_text(&out, label);
	} else {
		if (!pc->hides_names) {
			buf_printf(&out, "%s =", label);
			column = buf_span(&out).n;
		}
		while ((word = span_word(&rest, " \t\r\n\v\f")).n > 0)
			put_word(&out, &column, word, width);
	}
	puts(buf_str(&out));
	buf_done(&out);
}

void print_json(const struct json_pair *pairs, size_t count)
{
	struct buf out = BUF_INIT(BUF_LIMIT_DEFAULT);

	buf_char(&out, '{');
	for (size_t i = 0; i < count; i++)
		json_member(&out, pairs[i].name, span_of(pairs[i].value));
	buf_char(&out, '}');
	puts(buf_str(&out));
	buf_done(&out);
}

/* An argument, in braces when it would not be one otherwise. */
static void add_argument(struct buf *out, const char *argument)
{
	bool needs_braces = argument[0] == '\0' || argument[0] == '{' ||
			    strpbrk(argument, " \t\r\n") != NULL;

	buf_printf(out, needs_braces ? "{%s}" : "%s", argument);
}

static bool is_override(const struct master_service *service, int word)
{
	return strcmp(service->words[word], "-o") == 0 && word + 1 < service->word_count;
}

/* The arguments of a service; when folded, each -o has a line of its own. */
static void put_arguments(struct buf *out, const struct master_service *service, size_t column,
			  bool folds)
{
	struct buf word = BUF_INIT(BUF_LIMIT_DEFAULT);
	const size_t width = folds ? SERVICE_WIDTH : SIZE_MAX;
	bool are_options = true;

	for (int i = 0; i < service->word_count; i++) {
		bool is_alone;

		buf_reset(&word);
		are_options = are_options && service->words[i][0] == '-';
		is_alone = folds && are_options && is_override(service, i);
		if (are_options && is_override(service, i)) {
			buf_text(&word, "-o ");
			i++;
		}
		add_argument(&word, service->words[i]);
		if (is_alone)
			column = width;
		put_word(out, &column, buf_span(&word), width);
		if (is_alone)
			column = width;
	}
	buf_done(&word);
}

void format_service(struct buf *out, const struct master_service *service, bool folds)
{
	static const size_t starts[MASTER_COL_COUNT] = { 0, 11, 17, 25, 33, 41, 49, 57 };
	size_t column = 0;

	for (int i = 0; i < MASTER_COL_COUNT; i++) {
		const char *text = i < MASTER_COL_COMMAND ? service->columns[i] : service->command;

		do {
			if (i > 0)
				buf_char(out, ' ');
			column += i > 0;
		} while (column < starts[i]);
		buf_text(out, text);
		column += strlen(text);
	}
	put_arguments(out, service, column, folds);
	buf_char(out, '\n');
}

void format_command(struct buf *out, const struct master_service *service, size_t column,
		    bool folds)
{
	buf_text(out, service->command);
	put_arguments(out, service, column + strlen(service->command), folds);
}
