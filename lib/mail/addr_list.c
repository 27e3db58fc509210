/* SPDX-License-Identifier: MIT */
/*
 * Reader of address lists; see addr_list.h. Runs in cleanup, sendmail and smtpd (lax envelope
 * forms), on text from peers. RFC 5322 3.2 to 3.4 and 4.4, RFC 6532.
 */

#include "mail/addr_list.h"

#include "base/buf.h"
#include "mail/addr.h"

/*
 *	word    = 1*(atext / "\" any)
 *	quoted  = DQUOTE *(any / "\" any) DQUOTE
 *	comment = "(" *(any / "\" any / comment) ")"
 *	literal = "[" *(any / "\" any) "]"
 *	special = "," / ";" / ":" / "<" / ">" / "@" / "." / ")" / "]"
 */
enum token_kind {
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_QUOTED,
	TOKEN_COMMENT,
	TOKEN_LITERAL,
	TOKEN_SPECIAL
};

struct token {
	enum token_kind kind;
	size_t start, end; /* offsets in the text, delimiters included */
	bool is_open; /* its closing delimiter is missing */
};

static bool is_blank_or_control(char c)
{
	return (unsigned char)c <= 0x20 || c == 0x7f;
}

/* End of what opens at `at` with `open` ("(" nests); true in *is_open when it is not closed. */
static size_t delimited_end(struct span text, size_t at, char open, char close, bool *is_open)
{
	size_t depth = 0;

	for (; at < text.n; at++) {
		char c = text.p[at];

		if (c == '\\') {
			at++;
		} else if (depth > 0 && c == close) {
			if (--depth == 0)
				return at + 1;
		} else if (c == open && (depth == 0 || open == '(')) {
			depth++;
		}
	}
	*is_open = true;
	return text.n;
}

static size_t word_end(struct span text, size_t at)
{
	while (at < text.n && (addr_is_atext(text.p[at]) || text.p[at] == '\\'))
		at += text.p[at] == '\\' ? 2 : 1;
	return at < text.n ? at : text.n;
}

static struct token next_token(struct span text, size_t at)
{
	struct token token = { .kind = TOKEN_END };

	while (at < text.n && is_blank_or_control(text.p[at]))
		at++;
	token.start = token.end = at;
	if (at >= text.n)
		return token;
	switch (text.p[at]) {
	case '"':
		token.kind = TOKEN_QUOTED;
		token.end = delimited_end(text, at, '"', '"', &token.is_open);
		break;
	case '(':
		token.kind = TOKEN_COMMENT;
		token.end = delimited_end(text, at, '(', ')', &token.is_open);
		break;
	case '[':
		token.kind = TOKEN_LITERAL;
		token.end = delimited_end(text, at, '[', ']', &token.is_open);
		break;
	default:
		token.kind = TOKEN_WORD;
		token.end = word_end(text, at);
		if (token.end == at) {
			token.kind = TOKEN_SPECIAL;
			token.end = at + 1;
		}
	}
	return token;
}

static char special_of(struct span text, struct token token)
{
	return token.kind == TOKEN_SPECIAL ? text.p[token.start] : '\0';
}

static struct token take_token(struct addr_list *list, size_t at)
{
	struct token token = next_token(list->text, at);

	list->is_malformed |= token.is_open;
	list->has_comment |= token.kind == TOKEN_COMMENT;
	return token;
}

void addr_list_init(struct addr_list *list, struct span text)
{
	struct token token = { 0 };

	*list = (struct addr_list){ .text = text };
	if (!span_has(text, ';') || !span_has(text, ':'))
		return;
	while ((token = next_token(text, token.end)).kind != TOKEN_END)
		if (special_of(text, token) == ';')
			list->last_semicolon = token.start;
}

/* [phrase] "<" [route ":"] address ">"; list->at is at the "<". */
static void take_bracketed(struct addr_list *list, struct addr_item *item)
{
	struct token token = take_token(list, list->at);
	size_t start = token.end, end = token.end;
	char special;

	item->is_bracketed = true;
	do {
		token = take_token(list, token.end);
		special = special_of(list->text, token);
		if (special == '<')
			start = end = token.end; /* "<<a>>": the innermost counts */
		else if (special != '>' && token.kind != TOKEN_COMMENT && token.kind != TOKEN_END)
			end = token.end;
	} while (token.kind != TOKEN_END && special != '>');
	if (token.kind == TOKEN_END)
		list->is_malformed = true;
	item->raw = span_first(span_from(list->text, start), end - start);
	list->at = token.end;
}

/* One address of bare words; it ends where two words meet without "." or "@" between. */
static void take_bare(struct addr_list *list, struct addr_item *item)
{
	struct token token = next_token(list->text, list->at);
	size_t start = token.start, end = token.start;
	bool may_continue = true;

	while (token.kind != TOKEN_END && token.start < list->bare_end) {
		list->is_malformed |= token.is_open;
		if (token.kind == TOKEN_COMMENT) {
			list->has_comment = true;
		} else if (token.kind == TOKEN_SPECIAL) {
			may_continue = true;
			end = token.end;
		} else if (may_continue) {
			may_continue = false;
			end = token.end;
		} else {
			break;
		}
		list->at = token.end;
		token = next_token(list->text, list->at);
	}
	item->raw = span_first(span_from(list->text, start), end - start);
}

/* From the first word of a phrase: the token that says what the words are. */
static struct token phrase_end(const struct addr_list *list, size_t at)
{
	struct token token;
	char special;

	do {
		token = next_token(list->text, at);
		special = special_of(list->text, token);
		at = token.end;
	} while (token.kind != TOKEN_END && special != '<' && special != '>' && special != ',' &&
		 special != ';' && !(special == ':' && token.start < list->last_semicolon));
	return token;
}

bool addr_list_next(struct addr_list *list, struct addr_item *ret_item)
{
	struct addr_item item = { .is_after_item = true };
	struct token token, end;

	while ((token = take_token(list, list->at)).kind != TOKEN_END) {
		char special = special_of(list->text, token);

		if (token.kind == TOKEN_COMMENT || special == '>' || special == ',' ||
		    special == ';') {
			item.is_after_item &= special == '\0' || special == '>';
			list->at = token.end;
			continue;
		}
		if (token.start >= list->bare_end) {
			end = phrase_end(list, token.start);
			special = special_of(list->text, end);
			if (special == ':') { /* a group opens */
				item.is_after_item = false;
				list->at = end.end;
				continue;
			}
			if (special == '<') {
				item.phrase =
					span_trim(span_first(span_from(list->text, token.start),
							     end.start - token.start));
				list->at = end.start;
				take_bracketed(list, &item);
				*ret_item = item;
				return true;
			}
			list->bare_end = end.start;
		}
		take_bare(list, &item);
		*ret_item = item;
		return true;
	}
	return false;
}

bool addr_list_is_malformed(const struct addr_list *list)
{
	return list->is_malformed;
}

bool addr_list_has_comment(const struct addr_list *list)
{
	return list->has_comment;
}

/* Appends a token's bytes with quoting undone and without what no address may hold. */
static void append_plain(struct buf *out, struct span text, struct token token)
{
	size_t end = token.end;
	size_t i = token.start;

	if (token.kind == TOKEN_QUOTED) {
		i++;
		end -= !token.is_open;
	}
	for (; i < end; i++) {
		if (text.p[i] == '\\' && token.kind != TOKEN_LITERAL && ++i >= end)
			break;
		if (text.p[i] != '\r' && text.p[i] != '\n' && text.p[i] != '\0')
			buf_char(out, text.p[i]);
	}
}

/* route = "@" domain *("," "@" domain) ":" ; the offset behind it, or 0 */
static size_t route_end(struct span raw)
{
	struct token token = next_token(raw, 0);

	if (special_of(raw, token) != '@')
		return 0;
	while (token.kind != TOKEN_END && token.kind != TOKEN_QUOTED) {
		token = next_token(raw, token.end);
		if (special_of(raw, token) == ':')
			return token.end;
	}
	return 0;
}

bool addr_item_internal(struct buf *out, const struct addr_item *item)
{
	struct token token = { .end = route_end(item->raw) };

	while ((token = next_token(item->raw, token.end)).kind != TOKEN_END)
		if (token.kind != TOKEN_COMMENT)
			append_plain(out, item->raw, token);
	return !buf_is_over(out);
}

/* Writer of a changed list: it knows the column, and where the line may be broken. */
struct folder {
	struct buf *out;
	const char *line_end;
	size_t column;
	size_t break_at; /* offset in out of what follows the last comma; 0: no comma yet */
	size_t break_blanks;
};

enum { FOLD_COLUMN = 69 };

/* Moves what follows the last comma to a line of its own. */
static void fold_line(struct folder *f)
{
	struct span rest = span_from(buf_span(f->out), f->break_at + f->break_blanks);
	struct buf tail = BUF_INIT(BUF_LIMIT_DEFAULT);

	buf_add(&tail, rest);
	buf_truncate(f->out, f->break_at);
	buf_text(f->out, f->line_end);
	buf_char(f->out, '\t');
	buf_add(f->out, buf_span(&tail));
	f->column = 1 + rest.n;
	f->break_at = 0;
	buf_done(&tail);
}

/* Appends raw text and notes the places behind commas; quoted text and comments come as one. */
static void fold_append(struct folder *f, struct span piece, bool is_separator)
{
	for (size_t i = 0; i < piece.n; i++) {
		char c = piece.p[i];

		buf_char(f->out, c);
		f->column++;
		if (c == '\n') {
			f->column = 0;
			f->break_at = 0;
		} else if (is_separator && c == ',') {
			if (f->column > FOLD_COLUMN && f->break_at > 0)
				fold_line(f);
			f->break_at = buf_span(f->out).n;
			f->break_blanks = 0;
		} else if ((c == ' ' || c == '\t') && f->break_at > 0 &&
			   f->break_at + f->break_blanks + 1 == buf_span(f->out).n) {
			f->break_blanks++;
		}
	}
}

/* The text between two addresses, token by token so that commas in names do not count. */
static void fold_between(struct folder *f, struct span text)
{
	struct token token = { 0 };
	size_t at = 0;

	while ((token = next_token(text, at)).kind != TOKEN_END) {
		fold_append(f, span_first(span_from(text, at), token.start - at), false);
		fold_append(f, span_first(span_from(text, token.start), token.end - token.start),
			    token.kind == TOKEN_SPECIAL);
		at = token.end;
	}
	fold_append(f, span_from(text, at), false);
	if (f->column > FOLD_COLUMN && f->break_at > 0)
		fold_line(f);
}

static void fold_address(struct folder *f, struct span internal)
{
	size_t before = buf_span(f->out).n;

	addr_quote(f->out, internal);
	f->column += buf_span(f->out).n - before;
}

enum addr_rewrite_status addr_list_rewrite(struct buf *out, struct span value, size_t name_length,
					   const char *line_end, addr_change_fn *change,
					   void *context)
{
	struct folder f = { .out = out, .line_end = line_end, .column = name_length };
	struct buf internal = BUF_INIT(BUF_LIMIT_DEFAULT);
	struct buf replacement = BUF_INIT(BUF_LIMIT_DEFAULT);
	enum addr_rewrite_status status = ADDR_REWRITE_SAME;
	size_t start = buf_span(out).n, copied = 0;
	struct addr_list list;
	struct addr_item item;
	struct span between;
	bool is_first = true;

	addr_list_init(&list, value);
	while (status != ADDR_REWRITE_STOPPED && addr_list_next(&list, &item)) {
		enum addr_change what = ADDR_KEEP;
		size_t at = (size_t)(item.raw.p - value.p);

		buf_reset(&internal);
		buf_reset(&replacement);
		addr_item_internal(&internal, &item);
		if (buf_span(&internal).n > 0)
			what = change(context, buf_span(&internal), &replacement);
		between = span_first(span_from(value, copied), at - copied);
		if (!is_first && item.is_after_item && !item.is_bracketed) {
			fold_between(&f, span_trim_right(between));
			fold_between(&f, SPAN(", "));
		} else {
			fold_between(&f, between);
		}
		if (what == ADDR_REPLACE)
			fold_address(&f, buf_span(&replacement));
		else
			fold_append(&f, item.raw, false);
		copied = at + item.raw.n;
		if (what != ADDR_KEEP)
			status = what == ADDR_STOP ? ADDR_REWRITE_STOPPED : ADDR_REWRITE_CHANGED;
		is_first = false;
	}
	if (status == ADDR_REWRITE_CHANGED)
		fold_between(&f, span_from(value, copied));
	else
		buf_truncate(out, start);
	buf_done(&internal);
	buf_done(&replacement);
	return status;
}
