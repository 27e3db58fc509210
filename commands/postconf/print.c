/* SPDX-License-Identifier: MIT */
/* The output forms of postconf(1): settings and master.cf entries, folded or not, and JSON. */

#include "postconf.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

enum {
	LINE_WIDTH = 80, /* where -f folds */
};

#define FOLD_INDENT "    "

/* Appends words with single blanks; with `folds`, lines get a new start at LINE_WIDTH. */
static void put_word(struct buf *out, size_t *column, struct span word, bool folds)
{
	if (*column > 0 && folds && *column + 1 + word.n > LINE_WIDTH) {
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
	size_t column = 0;

	if (pc->hides_values) {
		buf_text(&out, label);
	} else {
		if (!pc->hides_names) {
			buf_printf(&out, "%s =", label);
			column = buf_span(&out).n;
		}
		while ((word = span_word(&rest, " \t\r\n\v\f")).n > 0)
			put_word(&out, &column, word, pc->folds);
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

void format_service(struct buf *out, const struct master_service *service, bool folds)
{
	static const size_t starts[MASTER_COL_COUNT] = { 0, 11, 17, 25, 33, 41, 49, 57 };
	struct buf word = BUF_INIT(BUF_LIMIT_DEFAULT);
	bool are_options = true;
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
	for (int i = 0; i < service->word_count; i++) {
		buf_reset(&word);
		are_options = are_options && service->words[i][0] == '-';
		if (are_options && is_override(service, i)) {
			buf_text(&word, "-o ");
			add_argument(&word, service->words[++i]);
			if (folds)
				column = LINE_WIDTH;
		} else {
			add_argument(&word, service->words[i]);
		}
		put_word(out, &column, buf_span(&word), folds);
		if (folds && span_starts(buf_span(&word), SPAN("-o ")))
			column = LINE_WIDTH;
	}
	buf_char(out, '\n');
	buf_done(&word);
}

void format_command(struct buf *out, const struct master_service *service)
{
	buf_text(out, service->command);
	for (int i = 0; i < service->word_count; i++) {
		buf_char(out, ' ');
		add_argument(out, service->words[i]);
	}
}
