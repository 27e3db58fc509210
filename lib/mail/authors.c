/* SPDX-License-Identifier: MIT */
/*
 * Strict reader of From: and Sender:; see authors.h. Runs in cleanup, on text from peers.
 * RFC 5322 3.2 to 3.4, RFC 6854, RFC 6532.
 */

#include "mail/authors.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "mail/addr.h"
#include "mail/domain.h"

struct reader {
	struct span rest;
	struct buf *out;
	size_t count; /* addresses */
};

static char next(const struct reader *r)
{
	return r->rest.n > 0 ? r->rest.p[0] : '\0';
}

static struct span take(struct reader *r, size_t n)
{
	struct span taken = span_first(r->rest, n);

	r->rest = span_from(r->rest, n);
	return taken;
}

/* Controls but for blanks and line ends have no place in any part. */
static bool is_text(char c)
{
	return (unsigned char)c >= 0x20 ? c != 0x7f : c == '\t' || c == '\r' || c == '\n';
}

/*
 *	comment = "(" *(text / "\" any / comment) ")"
 */
static bool take_comment(struct reader *r)
{
	size_t depth = 0, i = 0;

	for (; i < r->rest.n; i++) {
		char c = r->rest.p[i];

		if (c == '\\')
			i++;
		else if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			break;
	}
	if (i >= r->rest.n)
		return false;
	(void)take(r, i + 1);
	return true;
}

/* Blanks, line ends and comments. */
static bool take_space(struct reader *r)
{
	for (;;) {
		char c = next(r);

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			(void)take(r, 1);
		else if (c != '(')
			return true;
		else if (!take_comment(r))
			return false;
	}
}

/* atext and dots: "J." is one word of a phrase (obs-phrase), "a.b" a local part. */
static struct span take_atom(struct reader *r)
{
	size_t n = 0;

	while (n < r->rest.n && (addr_is_atext(r->rest.p[n]) || r->rest.p[n] == '.'))
		n++;
	return take(r, n);
}

/* DQUOTE *(text / "\" any) DQUOTE with its quotes; empty when it is not closed. */
static struct span take_quoted(struct reader *r)
{
	for (size_t i = 1; i < r->rest.n; i++) {
		if (r->rest.p[i] == '\\')
			i++;
		else if (r->rest.p[i] == '"')
			return take(r, i + 1);
	}
	return (struct span){ NULL, 0 };
}

static struct span take_word(struct reader *r)
{
	return next(r) == '"' ? take_quoted(r) : take_atom(r);
}

static bool has_encoded_word(struct span s)
{
	for (size_t i = 0; i + 1 < s.n; i++)
		if (s.p[i] == '=' && s.p[i + 1] == '?')
			return true;
	return false;
}

/* A local part without its quotes; folding has no place in it. */
static bool put_local(struct buf *out, struct span local)
{
	if (has_encoded_word(local))
		return false;
	if (local.p[0] != '"')
		return addr_is_dot_string(local) && buf_add(out, local);
	for (size_t i = 1; i + 1 < local.n; i++) {
		if (local.p[i] == '\\')
			i++;
		if (local.p[i] == '\r' || local.p[i] == '\n' || !buf_char(out, local.p[i]))
			return false;
	}
	return local.n > 2;
}

/*
 *	domain = dot-atom / "[" address "]"
 */
static bool take_domain(struct reader *r)
{
	struct span domain;
	size_t end;

	if (next(r) != '[')
		domain = take_atom(r);
	else if (span_chr(r->rest, ']', &end))
		domain = take(r, end + 1);
	else
		return false;
	return !has_encoded_word(domain) && domain_check(domain, true) == DOMAIN_OK &&
	       buf_add(r->out, domain);
}

/* addr-spec = local-part "@" domain, the local part read already; r is at the "@". */
static bool take_address(struct reader *r, struct span local)
{
	if (local.n == 0 || next(r) != '@')
		return false;
	(void)take(r, 1);
	r->count++;
	return put_local(r->out, local) && buf_char(r->out, '@') && take_domain(r) &&
	       buf_char(r->out, '\n');
}

/* "<" addr-spec ">" */
static bool take_bracketed(struct reader *r)
{
	(void)take(r, 1);
	if (!take_address(r, take_word(r)) || next(r) != '>')
		return false;
	(void)take(r, 1);
	return true;
}

/*
 *	mailbox = [phrase] "<" addr-spec ">" / addr-spec
 *	group   = phrase ":"
 * *ret_opens: it was the beginning of a group.
 */
static bool take_mailbox(struct reader *r, bool *ret_opens)
{
	struct span word;
	size_t words = 0;

	*ret_opens = false;
	while (next(r) != '<') {
		word = take_word(r);
		if (word.n == 0)
			return false;
		if (next(r) == '@')
			return words == 0 && take_address(r, word) && next(r) != '(';
		words++;
		if (!take_space(r))
			return false;
		if (next(r) == ':') {
			(void)take(r, 1);
			*ret_opens = true;
			return true;
		}
	}
	return take_bracketed(r);
}

/*
 *	list = (mailbox / group) *("," (mailbox / group)) ; group = phrase ":" [mailboxes] ";"
 */
static bool take_list(struct reader *r)
{
	bool in_group = false, opens;

	for (;;) {
		if (!take_space(r))
			return false;
		if (!in_group || next(r) != ';') {
			if (!take_mailbox(r, &opens) || (opens && in_group) || !take_space(r))
				return false;
			if (opens) {
				in_group = true;
				continue;
			}
		}
		if (in_group && next(r) == ';') {
			(void)take(r, 1);
			in_group = false;
			if (!take_space(r))
				return false;
		}
		if (r->rest.n == 0)
			return !in_group;
		if (next(r) != ',')
			return false;
		(void)take(r, 1);
	}
}

bool authors_read(struct buf *out, struct span value)
{
	struct reader r = { .rest = value, .out = out };

	for (size_t i = 0; i < value.n; i++)
		if (!is_text(value.p[i]))
			return false;
	return utf8_is_valid(value) && take_list(&r) && r.count > 0;
}
