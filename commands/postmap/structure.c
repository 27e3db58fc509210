/* SPDX-License-Identifier: MIT */
/*
 * The structure of a message as a walk over its lines; see structure.h. Messages come from anybody:
 * every stored thing has a limit, nothing recurses, each line costs at most one comparison
 * with each open boundary.
 */

#include "commands/postmap/structure.h"

#include <stdlib.h>

#include "base/mem.h"
#include "mail/header.h"

struct mime_level {
	struct mime_level *outer;
	bool is_digest; /* parts without Content-Type are messages (RFC 2046 5.1.5) */
	struct span boundary;
	char text[];
};

static void forget_content(struct mime *mime)
{
	mime->content.is_known = false;
	mime->content.is_multipart = false;
	mime->content.is_digest = false;
	mime->content.is_message = false;
	buf_reset(&mime->content.boundary);
}

void mime_init(struct mime *mime, const struct mime_events *events, void *context,
	       bool has_structure)
{
	*mime = (struct mime){ .events = events,
			       .context = context,
			       .has_structure = has_structure,
			       .is_in_head = true };
	buf_init(&mime->header, MIME_HEADER_MAX);
	buf_init(&mime->content.boundary, MIME_BOUNDARY_MAX);
}

static void leave_level(struct mime *mime)
{
	struct mime_level *level = mime->levels;

	mime->levels = level->outer;
	mime->depth--;
	free(level);
}

void mime_done(struct mime *mime)
{
	while (mime->levels != NULL)
		leave_level(mime);
	buf_done(&mime->header);
	buf_done(&mime->content.boundary);
}

/* Without leading blanks and comments (RFC 5322 3.2.2). */
static struct span skip_cfws(struct span s)
{
	size_t depth = 0, i;

	for (i = 0; i < s.n && (depth > 0 || ascii_is_blank(s.p[i]) || s.p[i] == '('); i++) {
		if (s.p[i] == '(')
			depth++;
		else if (s.p[i] == ')')
			depth--;
		else if (s.p[i] == '\\')
			i++;
	}
	return span_from(s, i);
}

/* token of RFC 2045 5.1, with the blanks and comments before it. */
static struct span take_token(struct span *rest)
{
	*rest = skip_cfws(*rest);
	return span_word(rest, " \t\r\n()<>@,;:\\\"/[]?=");
}

static bool starts_with(struct span s, char c)
{
	return s.n > 0 && s.p[0] == c;
}

/* value = token / quoted-string, appended to `out` up to its limit when that is not NULL */
static void take_value(struct span *rest, struct buf *out)
{
	struct span s = skip_cfws(*rest);
	bool is_quoted = starts_with(s, '"');
	size_t i = is_quoted ? 1 : 0;

	for (; i < s.n; i++) {
		char c = s.p[i];

		if (is_quoted ? c == '"' : c == ';' || c == '(' || ascii_is_blank(c))
			break;
		if (is_quoted && c == '\\' && i + 1 < s.n)
			c = s.p[++i];
		if (out != NULL && c != '\n')
			buf_char(out, c);
	}
	*rest = span_from(s, is_quoted ? i + 1 : i);
}

/* Content-Type = type "/" subtype *( ";" attribute "=" value )     (RFC 2045 5.1) */
static void read_content_type(struct mime *mime, struct span value)
{
	struct span type = take_token(&value), subtype = { NULL, 0 };

	forget_content(mime);
	mime->content.is_known = true;
	value = skip_cfws(value);
	if (starts_with(value, '/')) {
		value = span_from(value, 1);
		subtype = take_token(&value);
	}
	mime->content.is_message = span_is_nocase(type, "message") &&
				   (span_is_nocase(subtype, "rfc822") ||
				    span_is_nocase(subtype, "global") ||
				    span_is_nocase(subtype, "partial") ||
				    span_is_nocase(subtype, "external-body"));
	if (!span_is_nocase(type, "multipart"))
		return;
	mime->content.is_digest = span_is_nocase(subtype, "digest");

	while ((value = skip_cfws(value)).n > 0) {
		if (!starts_with(value, ';')) {
			value = span_from(value, 1);
			continue;
		}
		value = span_from(value, 1);

		bool is_boundary = span_is_nocase(take_token(&value), "boundary");

		value = skip_cfws(value);
		if (!starts_with(value, '='))
			continue;
		value = span_from(value, 1);
		if (is_boundary && !mime->content.is_multipart) {
			take_value(&value, &mime->content.boundary);
			mime->content.is_multipart = buf_span(&mime->content.boundary).n > 0;
		} else {
			take_value(&value, NULL);
		}
	}
}

/* Hands out the header that is complete now, if there is one. */
static void flush_header(struct mime *mime)
{
	struct span header = buf_span(&mime->header);
	size_t value_at;

	if (header.n == 0)
		return;

	size_t length = header_name_length(header, &value_at);

	if (mime->has_structure && span_is_nocase(span_first(header, length), "content-type"))
		read_content_type(mime, span_from(header, value_at));
	mime->events->header(mime->context, mime->owner, header);
	buf_reset(&mime->header);
}

static void enter_level(struct mime *mime)
{
	struct span boundary = buf_span(&mime->content.boundary);
	struct mime_level *level = mem_alloc(sizeof(*level) + boundary.n + 1);

	for (size_t i = 0; i < boundary.n; i++)
		level->text[i] = boundary.p[i];
	level->boundary = (struct span){ level->text, boundary.n };
	level->is_digest = mime->content.is_digest;
	level->outer = mime->levels;
	mime->levels = level;
	mime->depth++;
}

/* The headers are over: what comes next is what they said. */
static void end_head(struct mime *mime)
{
	bool is_message = mime->content.is_message;

	mime->is_in_head = false;
	if (!mime->content.is_known && mime->owner == MIME_OF_PART && mime->levels != NULL)
		is_message = mime->levels->is_digest;
	if (mime->content.is_multipart && mime->depth < MIME_DEPTH_MAX)
		enter_level(mime);
	forget_content(mime);
	if (is_message) {
		mime->is_in_head = true;
		mime->owner = MIME_OF_NESTED;
	}
}

/* "--" boundary of an open multipart, or with "--" behind it the end of that (RFC 2046 5.1.1). */
static void look_for_boundary(struct mime *mime, struct span line)
{
	struct span text = span_from(line, 2);
	struct mime_level *level = mime->levels;

	if (!span_starts(line, SPAN("--")))
		return;
	while (level != NULL && !span_starts(text, level->boundary))
		level = level->outer;
	if (level == NULL)
		return;
	while (mime->levels != level)
		leave_level(mime);
	forget_content(mime);
	mime->is_in_head = !span_starts(span_from(text, level->boundary.n), SPAN("--"));
	mime->owner = MIME_OF_PART;
	if (!mime->is_in_head)
		leave_level(mime);
}

void mime_line(struct mime *mime, struct span line)
{
	bool is_more = buf_span(&mime->header).n > 0 && header_is_continuation(line);

	if (mime->is_in_head && (is_more || header_name_length(line, NULL) > 0)) {
		if (!is_more)
			flush_header(mime);
		else
			buf_char(&mime->header, '\n');
		buf_add(&mime->header, span_first(line, MIME_HEADER_MAX -
								buf_span(&mime->header).n));
		return;
	}
	if (mime->is_in_head) {
		flush_header(mime);
		end_head(mime);
	}
	look_for_boundary(mime, line);
	mime->events->body(mime->context, line);
}

void mime_end(struct mime *mime)
{
	if (mime->is_in_head)
		flush_header(mime);
}
