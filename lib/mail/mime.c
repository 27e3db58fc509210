/* SPDX-License-Identifier: MIT */
/*
 * Structure of messages; see mime.h. Runs in cleanup and smtp, on messages from anywhere. RFC
 * 2045, 2046, 6532. Where MIME leaves doubt it does what sees more headers, since checks are to
 * find what a reader might show: a boundary counts when a line begins with it.
 */

#include "mail/mime.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "mail/mime_value.h"

enum mime_state { STATE_HEAD, STATE_BODY };

struct level {
	struct buf boundary; /* with the "--" in front */
	bool is_digest; /* its parts are messages unless they say otherwise */
};

struct mime {
	struct mime_rules rules;
	struct mime_events events;
	void *context;
	enum mime_state state;
	enum mime_head head; /* the current or last one */
	struct mime_part part;
	bool has_type; /* a Content-Type was seen in this head */
	bool is_digest; /* multipart/digest, for the level to be opened */
	struct buf boundary; /* of this head's multipart, if any */
	struct buf header; /* the header that is being collected */
	bool is_line_start;
	bool is_line_header; /* the pieces of the current line go to the header */
	struct level *levels; /* the open multiparts, outermost first */
	size_t level_count, level_room;
	uint64_t offset;
	unsigned problems;
};

const char *mime_problem_text(enum mime_problem problem)
{
	switch (problem) {
	case MIME_PROBLEM_NESTING:
		return "MIME nesting exceeds safety limit";
	case MIME_PROBLEM_LONG_HEADER:
		return "message header length exceeds safety limit";
	case MIME_PROBLEM_8BIT_HEADER:
		return "improper use of 8-bit data in message header";
	case MIME_PROBLEM_8BIT_BODY:
		return "improper use of 8-bit data in message body";
	case MIME_PROBLEM_ENCODING:
		return "invalid message/* or multipart/* encoding domain";
	case MIME_PROBLEM_AMBIGUOUS:
		return "ambiguous MIME structure";
	}
	return "unknown MIME problem";
}

static void start_head(struct mime *mime, enum mime_head head, bool is_message)
{
	mime->state = STATE_HEAD;
	mime->head = head;
	mime->part = (struct mime_part){ .kind = is_message ? MIME_MESSAGE : MIME_LEAF };
	mime->has_type = mime->is_digest = false;
	mime->offset = 0;
	buf_reset(&mime->boundary);
	buf_reset(&mime->header);
}

struct mime *mime_new(const struct mime_rules *rules, const struct mime_events *events,
		      void *context)
{
	struct mime *mime = NEW(struct mime);

	mime->rules = *rules;
	mime->events = *events;
	mime->context = context;
	mime->is_line_start = true;
	buf_init(&mime->header, rules->header_size_limit + 1); /* and a line end */
	buf_init(&mime->boundary, BUF_LIMIT_DEFAULT);
	start_head(mime, MIME_HEAD_PRIMARY, false);
	return mime;
}

void mime_free(struct mime *mime)
{
	if (mime == NULL)
		return;
	for (size_t i = 0; i < mime->level_room; i++)
		buf_done(&mime->levels[i].boundary);
	free(mime->levels);
	buf_done(&mime->header);
	buf_done(&mime->boundary);
	free(mime);
}

unsigned mime_problems(const struct mime *mime)
{
	return mime->problems;
}

static void set_content_type(struct mime *mime, struct span value)
{
	struct span type, subtype, params;

	if (mime->has_type) {
		mime->problems |= MIME_PROBLEM_AMBIGUOUS;
		return;
	}
	mime->has_type = true;
	mime->part.kind = MIME_LEAF;
	if (!mime_value_type(value, &type, &subtype, &params))
		return;
	if (span_is_nocase(type, "message")) {
		if (span_is_nocase(subtype, "rfc822") || span_is_nocase(subtype, "global"))
			mime->part.kind = MIME_MESSAGE;
		return;
	}
	if (!span_is_nocase(type, "multipart"))
		return;
	mime->part.kind = MIME_MULTIPART;
	mime->is_digest = span_is_nocase(subtype, "digest");
	if (mime_value_param(&mime->boundary, params, "boundary") == MIME_PARAM_TWICE)
		mime->problems |= MIME_PROBLEM_AMBIGUOUS;
	buf_truncate(&mime->boundary, mime->rules.boundary_length_limit);
}

static void set_encoding(struct mime *mime, struct span value)
{
	static const char *const names[] = {
		[MIME_7BIT] = "7bit", [MIME_8BIT] = "8bit", [MIME_BINARY] = "binary",
		[MIME_QUOTED_PRINTABLE] = "quoted-printable", [MIME_BASE64] = "base64",
	};
	struct span rest, token = mime_value_token(value, &rest);
	unsigned i = 0;

	if (mime->part.has_encoding) {
		mime->problems |= MIME_PROBLEM_AMBIGUOUS;
		return;
	}
	while (i < ARRAY_LEN(names) && !span_is_nocase(token, names[i]))
		i++;
	mime->part.has_encoding = true;
	mime->part.encoding = (enum mime_encoding)i;
}

/* Sends the collected header, if there is one. */
static void flush_header(struct mime *mime)
{
	struct span rest;
	struct header header;

	if (buf_span(&mime->header).n == 0)
		return;
	buf_char(&mime->header, '\n');
	rest = buf_span(&mime->header);
	if (!header_next(&rest, &header)) /* the limit cut even the name */
		header = (struct header){
			rest, span_trim_right(rest), { NULL, 0 }, header_find(rest)
		};
	if (header.info->id == HEADER_CONTENT_TYPE)
		set_content_type(mime, header.value);
	else if (header.info->id == HEADER_CONTENT_TRANSFER_ENCODING)
		set_encoding(mime, header.value);
	if (mime->rules.is_checking_8bit && utf8_has_8bit(header.raw))
		mime->problems |= MIME_PROBLEM_8BIT_HEADER;
	mime->events.header(mime->context, mime->head, &header);
	buf_reset(&mime->header);
	buf_shrink(&mime->header, 4096);
}

static void open_level(struct mime *mime)
{
	struct level *level;

	if (mime->level_count >= mime->rules.nesting_limit) {
		mime->problems |= MIME_PROBLEM_NESTING;
		return;
	}
	if (mime->level_count == mime->level_room) {
		size_t room = mime->level_room + 8;

		mime->levels = mem_resize(mime->levels, room * sizeof(*mime->levels));
		for (size_t i = mime->level_room; i < room; i++)
			mime->levels[i] = (struct level){ .boundary = BUF_INIT(BUF_LIMIT_DEFAULT) };
		mime->level_room = room;
	}
	level = &mime->levels[mime->level_count++];
	level->is_digest = mime->is_digest;
	buf_set(&level->boundary, SPAN("--"));
	buf_add(&level->boundary, buf_span(&mime->boundary));
}

/* The head is over: what it said decides on what is next. */
static void end_head(struct mime *mime, enum mime_end end)
{
	enum mime_head head = mime->head;
	struct mime_part part;

	flush_header(mime);
	part = mime->part;
	if (mime->part.kind != MIME_LEAF && mime->part.encoding > MIME_BINARY)
		mime->problems |= MIME_PROBLEM_ENCODING;
	mime->events.head_end(mime->context, head, end, &part);
	mime->state = STATE_BODY;
	mime->offset = 0;
	if (mime->rules.is_flat)
		return;
	if (part.kind == MIME_MULTIPART && buf_span(&mime->boundary).n > 0)
		open_level(mime);
	else if (part.kind == MIME_MESSAGE && end == MIME_END_BLANK)
		start_head(mime, MIME_HEAD_NESTED, false);
}

/* Closes the multiparts inside the one whose boundary this line is; false when it is none. */
static bool take_boundary(struct mime *mime, struct span line, bool has_line_end)
{
	struct level *level;
	size_t count = mime->level_count;
	struct span rest;

	if (!span_starts(line, SPAN("--")))
		return false;
	while (count > 0 && !span_starts(line, buf_span(&mime->levels[count - 1].boundary)))
		count--;
	if (count == 0)
		return false;
	if (mime->state == STATE_HEAD)
		end_head(mime, MIME_END_TEXT);
	level = &mime->levels[count - 1];
	rest = span_from(line, buf_span(&level->boundary).n);
	mime->level_count = count;
	mime->events.boundary(mime->context, line, has_line_end);
	mime->offset = 0;
	if (span_starts(rest, SPAN("--"))) { /* the epilogue */
		mime->level_count--;
		mime->state = STATE_BODY;
		mime->part = (struct mime_part){ .kind = MIME_LEAF };
	} else {
		start_head(mime, MIME_HEAD_PART, level->is_digest);
	}
	return true;
}

static void append_header(struct mime *mime, struct span text)
{
	size_t room = mime->rules.header_size_limit - buf_span(&mime->header).n;

	/* The tail of an oversized header is dropped, what is before it stays. */
	if (text.n > room)
		mime->problems |= MIME_PROBLEM_LONG_HEADER;
	buf_add(&mime->header, span_first(text, room));
}

/* One line, or its first piece, while in a head. False when the head ended before it. */
static bool take_head_line(struct mime *mime, struct span line)
{
	bool has_header = buf_span(&mime->header).n > 0;

	if (header_is_continuation(line) && has_header) {
		append_header(mime, SPAN("\n"));
	} else if (header_name_length(line, NULL) > 0) {
		flush_header(mime);
	} else {
		end_head(mime, line.n == 0 ? MIME_END_BLANK : MIME_END_TEXT);
		return line.n == 0;
	}
	append_header(mime, line);
	mime->is_line_header = true;
	return true;
}

static void take_body(struct mime *mime, struct span line, bool has_line_end)
{
	if (mime->rules.is_checking_8bit && mime->part.encoding == MIME_7BIT && utf8_has_8bit(line))
		mime->problems |= MIME_PROBLEM_8BIT_BODY;
	mime->events.body(mime->context, line, has_line_end, mime->offset);
	mime->offset += line.n + has_line_end;
}

void mime_line(struct mime *mime, struct span line, bool has_line_end)
{
	bool is_start = mime->is_line_start;

	mime->is_line_start = has_line_end;
	if (!is_start) {
		if (mime->is_line_header)
			append_header(mime, line);
		else
			take_body(mime, line, has_line_end);
		return;
	}
	mime->is_line_header = false;
	if (mime->level_count > 0 && take_boundary(mime, line, has_line_end))
		return;
	if (mime->state == STATE_HEAD && take_head_line(mime, line))
		return;
	take_body(mime, line, has_line_end);
}

void mime_finish(struct mime *mime)
{
	if (mime->state == STATE_HEAD)
		end_head(mime, MIME_END_INPUT);
}
