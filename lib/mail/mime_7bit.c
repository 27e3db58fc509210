/* SPDX-License-Identifier: MIT */
/*
 * 8bit to quoted-printable; see mime_7bit.h. Runs in smtp, on messages from anywhere. RFC 6152
 * 3, RFC 2045 6.7. Headers are passed on, but for Content-Transfer-Encoding, which is held back
 * until the end of its head and then says what the body becomes.
 */

#include "mail/mime_7bit.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "mail/mime_value.h"

enum { LINE_MAX_QP = 75 }; /* and the "=" of a soft line break */

struct mime_7bit {
	struct mime *mime;
	mime_7bit_fn *output;
	void *context;
	bool has_untagged;
	bool has_mime_version; /* in this head */
	bool has_content_type;
	bool is_encoding; /* the body at hand */
	struct buf line; /* of quoted-printable, not yet given away */
	char held_blank; /* a blank at the end of a piece: encoded only at the end of the line */
};

static void emit(struct mime_7bit *c, struct span line, bool has_line_end)
{
	c->output(c->context, line, has_line_end);
}

static void soft_break(struct mime_7bit *c)
{
	buf_char(&c->line, '=');
	emit(c, buf_span(&c->line), true);
	buf_reset(&c->line);
}

static void append_encoded(struct mime_7bit *c, char byte)
{
	if (buf_span(&c->line).n + 3 > LINE_MAX_QP)
		soft_break(c);
	buf_printf(&c->line, "=%02X", (unsigned)(unsigned char)byte);
}

static void append_plain(struct mime_7bit *c, char byte)
{
	if (buf_span(&c->line).n + 1 > LINE_MAX_QP)
		soft_break(c);
	buf_char(&c->line, byte);
}

static void encode(struct mime_7bit *c, struct span text, bool has_line_end)
{
	for (size_t i = 0; i < text.n; i++) {
		char byte = text.p[i];

		if (c->held_blank != '\0')
			append_plain(c, c->held_blank);
		c->held_blank = '\0';
		if (byte == ' ' || byte == '\t')
			c->held_blank = byte;
		else if (byte == '=' || !ascii_is_print(byte))
			append_encoded(c, byte);
		else
			append_plain(c, byte);
	}
	if (!has_line_end)
		return;
	if (c->held_blank != '\0')
		append_encoded(c, c->held_blank);
	c->held_blank = '\0';
	emit(c, buf_span(&c->line), true);
	buf_reset(&c->line);
}

static void emit_lines(struct mime_7bit *c, struct span lines)
{
	struct span line;

	while (span_line(&lines, &line))
		emit(c, line, true);
}

static bool is_wide(enum mime_encoding encoding)
{
	return encoding == MIME_8BIT || encoding == MIME_BINARY;
}

static void on_header(void *context, enum mime_head head UNUSED, const struct header *header)
{
	struct mime_7bit *c = context;
	struct span rest, token;

	c->has_mime_version |= header->info->id == HEADER_MIME_VERSION;
	c->has_content_type |= header->info->id == HEADER_CONTENT_TYPE;
	if (header->info->id == HEADER_CONTENT_TRANSFER_ENCODING) {
		token = mime_value_token(header->value, &rest);
		if (span_is_nocase(token, "8bit") || span_is_nocase(token, "binary"))
			return;
	}
	emit_lines(c, header->raw);
}

/* RFC 1428 3: text of which nobody said what it is. */
static void tag(struct mime_7bit *c, enum mime_head head)
{
	if (head != MIME_HEAD_PART && !c->has_mime_version)
		emit(c, SPAN("MIME-Version: 1.0"), true);
	if (!c->has_content_type)
		emit(c, SPAN("Content-Type: text/plain; charset=unknown-8bit"), true);
}

static void on_head_end(void *context, enum mime_head head, enum mime_end end,
			const struct mime_part *part)
{
	struct mime_7bit *c = context;

	c->is_encoding = part->kind == MIME_LEAF &&
			 (is_wide(part->encoding) || (c->has_untagged && !part->has_encoding));
	if (c->is_encoding && !part->has_encoding)
		tag(c, head);
	if (c->is_encoding)
		emit(c, SPAN("Content-Transfer-Encoding: quoted-printable"), true);
	else if (is_wide(part->encoding))
		emit(c, SPAN("Content-Transfer-Encoding: 7bit"), true);
	if (end == MIME_END_BLANK ||
	    (end == MIME_END_TEXT && (c->is_encoding || head == MIME_HEAD_PRIMARY)))
		emit(c, SPAN(""), true);
	c->has_mime_version = c->has_content_type = false;
}

/* What is left of a last line without line end. */
static void end_body(struct mime_7bit *c)
{
	if (buf_span(&c->line).n > 0 || c->held_blank != '\0')
		encode(c, SPAN(""), true);
	c->is_encoding = false;
}

static void on_body(void *context, struct span line, bool has_line_end, uint64_t offset UNUSED)
{
	struct mime_7bit *c = context;

	if (c->is_encoding)
		encode(c, line, has_line_end);
	else
		emit(c, line, has_line_end);
}

static void on_boundary(void *context, struct span line, bool has_line_end)
{
	struct mime_7bit *c = context;

	end_body(c);
	emit(c, line, has_line_end);
}

struct mime_7bit *mime_7bit_new(const struct mime_7bit_rules *rules, mime_7bit_fn *output,
				void *context)
{
	static const struct mime_events events = { on_header, on_head_end, on_body, on_boundary };
	struct mime_7bit *c = NEW(struct mime_7bit);

	c->mime = mime_new(&rules->mime, &events, c);
	c->output = output;
	c->context = context;
	c->has_untagged = rules->has_untagged;
	buf_init(&c->line, LINE_MAX_QP + 1);
	return c;
}

void mime_7bit_free(struct mime_7bit *conversion)
{
	if (conversion == NULL)
		return;
	mime_free(conversion->mime);
	buf_done(&conversion->line);
	free(conversion);
}

void mime_7bit_line(struct mime_7bit *conversion, struct span line, bool has_line_end)
{
	mime_line(conversion->mime, line, has_line_end);
}

void mime_7bit_finish(struct mime_7bit *conversion)
{
	mime_finish(conversion->mime);
	end_body(conversion);
}

unsigned mime_7bit_problems(const struct mime_7bit *conversion)
{
	return mime_problems(conversion->mime);
}
