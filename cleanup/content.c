/* SPDX-License-Identifier: MIT */
/*
 * The content as it streams in: header section first, then the body, which goes to the queue file
 * unchanged unless something must look into it. Lines end with CRLF afterwards, and there is
 * no other CR or LF (RFC 5321 2.3.8): so nothing of what is relayed later can end a message early.
 *
 * Runs in cleanup's workers, on the bytes of strangers.
 */

#include <string.h>

#include "base/utf8.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/mime.h"
#include "mail/mime_7bit.h"

enum { LINE_LONG_BYTES = 998, KEEP_BYTES = 64 * 1024 };

void content_reset(struct content *content)
{
	buf_shrink(&content->line, KEEP_BYTES);
	buf_shrink(&content->fixed, KEEP_BYTES);
	buf_shrink(&content->unconverted, KEEP_BYTES);
	content->place = CONTENT_START;
	content->size = content->line_size = 0;
	content->is_after_cr = false;
}

/* ---- the body, as it is ---- */

static void put_body(struct message *message, const char *from, const char *to)
{
	if (to > from)
		queue_write_body(&message->writer, (struct span){ from, (size_t)(to - from) });
}

static void end_line(struct message *message)
{
	struct content *content = &message->content;

	if (content->line_size > LINE_LONG_BYTES)
		message->writer.header.content |= CONTENT_LONG_LINES;
	content->line_size = 0;
}

/* A part of a line that may have CRs in it, which end no line. */
static void put_repaired(struct message *message, const char *from, const char *to)
{
	const char *cr;

	while (from < to && (cr = memchr(from, '\r', (size_t)(to - from))) != NULL) {
		put_body(message, from, cr);
		if (conf->cleanup_replace_stray_cr_lf) {
			queue_write_body(&message->writer, SPAN(" "));
		} else {
			queue_write_body(&message->writer, SPAN("\r"));
			message->writer.header.content |= CONTENT_STRAY;
		}
		from = cr + 1;
	}
	put_body(message, from, to);
}

/* The CR that ended the piece before: now its LF comes, or it was a stray one. */
static struct span settle_cr(struct message *message, struct span bytes)
{
	static const char cr = '\r';

	message->content.is_after_cr = false;
	if (bytes.n > 0 && bytes.p[0] == '\n') {
		queue_write_body(&message->writer, SPAN("\r\n"));
		end_line(message);
		return span_from(bytes, 1);
	}
	message->content.line_size++;
	put_repaired(message, &cr, &cr + 1);
	return bytes;
}

static void note_bytes(struct message *message, struct span bytes)
{
	uint32_t *bits = &message->writer.header.content;

	if ((*bits & CONTENT_8BIT) == 0 && utf8_has_8bit(bytes))
		*bits |= CONTENT_8BIT;
	if ((*bits & CONTENT_NUL) == 0 && memchr(bytes.p, '\0', bytes.n) != NULL)
		*bits |= CONTENT_NUL;
}

/*
 * Writes the body in runs as long as can be: a run is broken only where a byte must change. A CR
 * at the end waits for the next piece.
 */
static void add_plain_body(struct message *message, struct span bytes)
{
	struct content *content = &message->content;

	if (content->is_after_cr && bytes.n > 0)
		bytes = settle_cr(message, bytes);
	if (bytes.n == 0)
		return;
	note_bytes(message, bytes);

	const char *run = bytes.p, *at = bytes.p, *end = bytes.p + bytes.n;

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		const char *stop = lf != NULL ? lf : end;
		bool is_crlf = false;

		if (*at == '.' && content->line_size == 0)
			message->writer.header.content |= CONTENT_DOTS;
		if (stop > at && stop[-1] == '\r') {
			stop--;
			is_crlf = lf != NULL;
			content->is_after_cr = lf == NULL;
		}
		content->line_size += (size_t)(stop - at);
		if (memchr(at, '\r', (size_t)(stop - at)) != NULL || (lf != NULL && !is_crlf)) {
			put_body(message, run, at);
			put_repaired(message, at, stop);
			if (lf != NULL)
				queue_write_body(&message->writer, SPAN("\r\n"));
			run = lf != NULL ? lf + 1 : end;
		}
		if (lf != NULL)
			end_line(message);
		at = lf != NULL ? lf + 1 : end;
	}
	put_body(message, run, content->is_after_cr && run < end ? end - 1 : end);
}

/* ---- lines ---- */

/*
 * The next line of *rest with its line end, together with what waited for it in `waiting`, or a
 * piece of `limit` bytes or more; false when the line end has not come: it waits then. *ret_line
 * is borrowed until `waiting` is emptied.
 */
static bool next_line(struct buf *waiting, struct span *rest, size_t limit, struct span *ret_line)
{
	size_t at;

	if (!span_chr(*rest, '\n', &at)) {
		bool is_piece = waiting->length + rest->n >= limit;

		(void)buf_add(waiting, *rest);
		*rest = (struct span){ NULL, 0 };
		*ret_line = buf_span(waiting);
		return is_piece;
	}
	*ret_line = span_first(*rest, at + 1);
	*rest = span_from(*rest, at + 1);
	if (waiting->length > 0) {
		(void)buf_add(waiting, *ret_line);
		*ret_line = buf_span(waiting);
	}
	return true;
}

/* Without line end, and with CRs inside made blanks; borrowed from the line or content->fixed. */
static struct span clean_line(struct content *content, struct span line)
{
	if (line.n > 0 && line.p[line.n - 1] == '\n')
		line.n--;
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (!span_has(line, '\r'))
		return line;
	(void)buf_set(&content->fixed, line);
	for (size_t i = 0; i < content->fixed.length; i++)
		if (content->fixed.data[i] == '\r')
			content->fixed.data[i] = ' ';
	return buf_span(&content->fixed);
}

void content_put(struct message *message, struct span line, bool has_line_end)
{
	struct content *content = &message->content;

	if (content->line_size == 0 && line.n > 0 && line.p[0] == '.')
		message->writer.header.content |= CONTENT_DOTS;
	if (line.n > 0)
		note_bytes(message, line);
	queue_write_body(&message->writer, line);
	content->line_size += line.n;
	if (has_line_end) {
		queue_write_body(&message->writer, SPAN("\r\n"));
		end_line(message);
	}
}

static void add_checked_body(struct message *message, struct span bytes)
{
	struct content *content = &message->content;
	struct span line;

	while (bytes.n > 0 && next_line(&content->line, &bytes, BODY_PIECE_BYTES, &line)) {
		mime_line(message->mime, clean_line(content, line), span_ends(line, SPAN("\n")));
		buf_reset(&content->line);
	}
}

static void add_body(struct message *message, struct span bytes)
{
	if (bytes.n == 0)
		return;
	if (message->mime != NULL)
		add_checked_body(message, bytes);
	else
		add_plain_body(message, bytes);
}

/* ---- the header section ---- */

static void begin_body(struct message *message)
{
	if (message->mime != NULL)
		mime_line(message->mime, (struct span){ NULL, 0 }, true);
	head_end(message);
	message->content.place = CONTENT_BODY;
}

/* One line of the header section, or the one that ends it. False when the body has begun. */
static bool add_head_line(struct message *message, struct span line)
{
	struct content *content = &message->content;
	bool is_first = content->place == CONTENT_START;

	if (is_first)
		head_begin(message);
	content->place = CONTENT_HEAD;
	line = clean_line(content, line);
	if (line.n == 0) {
		begin_body(message);
		return false;
	}
	if (head_add_line(message, line, is_first)) {
		if (message->mime != NULL)
			mime_line(message->mime, line, true);
		return true;
	}
	begin_body(message);
	/* `line` may stand in the buffers that the body uses. */
	line = arena_span(&message->arena, line);
	buf_reset(&content->line);
	add_body(message, line);
	add_body(message, SPAN("\r\n"));
	return false;
}

/* Takes the lines of the header section off the front of `bytes`; returns what is body. */
static struct span add_head(struct message *message, struct span bytes)
{
	struct content *content = &message->content;
	struct span line;

	while (bytes.n > 0) {
		if (!next_line(&content->line, &bytes, SIZE_MAX, &line)) {
			if (buf_is_over(&content->line)) {
				message->is_full = true;
				message_refuse(message, SUBMIT_TOO_BIG, "5.3.4",
					       "message header section too big");
			}
			break;
		}

		bool goes_on = add_head_line(message, line);

		buf_reset(&content->line);
		if (!goes_on)
			break;
	}
	return bytes;
}

/* ---- both ---- */

/* message_strip_characters and message_reject_characters. */
static struct {
	bool is_set;
	bool is_stripped[256], is_rejected[256];
} unwanted;

/* Marks the bytes of a list with the escapes of C: \a \b \f \n \r \t \v \NNN \\. */
static void mark_bytes(bool marks[256], const char *text)
{
	static const char letters[] = "abfnrtv\\", bytes[] = "\a\b\f\n\r\t\v\\";

	while (*text != '\0') {
		unsigned char byte = (unsigned char)*text++;

		if (byte == '\\' && *text != '\0') {
			const char *letter = strchr(letters, *text);
			unsigned value = 0;

			if (letter != NULL) {
				value = (unsigned char)bytes[letter - letters];
				text++;
			} else {
				for (int i = 0; i < 3 && *text >= '0' && *text <= '7'; i++)
					value = value * 8 + (unsigned)(*text++ - '0');
			}
			byte = (unsigned char)value;
		}
		marks[byte] = unwanted.is_set = true;
	}
}

void content_prepare(void)
{
	mark_bytes(unwanted.is_stripped, conf->message_strip_characters);
	mark_bytes(unwanted.is_rejected, conf->message_reject_characters);
}

static struct span filter_bytes(struct message *message, struct span bytes)
{
	struct buf *kept = &message->filtered;

	if (!unwanted.is_set)
		return bytes;
	buf_shrink(kept, KEEP_BYTES);
	for (size_t i = 0; i < bytes.n; i++) {
		unsigned char c = (unsigned char)bytes.p[i];

		if (unwanted.is_rejected[c])
			message_refuse(message, SUBMIT_REJECT, "5.7.1", "disallowed character");
		if (!unwanted.is_stripped[c])
			(void)buf_char(kept, bytes.p[i]);
	}
	return buf_span(kept);
}

static void add_bytes(struct message *message, struct span bytes)
{
	if (message->content.place != CONTENT_BODY && message_is_good(message))
		bytes = add_head(message, bytes);
	if (message->content.place == CONTENT_BODY && message_is_good(message))
		add_body(message, bytes);
}

/* ---- force_mime_input_conversion: 8bit to quoted-printable before anything else ---- */

static void take_converted(void *context, struct span text, bool has_line_end)
{
	add_bytes(context, text);
	if (has_line_end)
		add_bytes(context, SPAN("\r\n"));
}

void content_start(struct message *message)
{
	struct mime_7bit_rules rules = {
		.mime = {
			.header_size_limit = (size_t)conf->header_size_limit,
			.boundary_length_limit = (size_t)conf->mime_boundary_length_limit,
			.nesting_limit = (unsigned)conf->mime_nesting_limit,
		},
	};

	if (conf->force_mime_input_conversion && !conf->disable_mime_input_processing)
		message->seven_bit = mime_7bit_new(&rules, take_converted, message);
}

static void add_unconverted(struct message *message, struct span bytes)
{
	struct buf *waiting = &message->content.unconverted;
	struct span line;

	while (bytes.n > 0 && next_line(waiting, &bytes, BODY_PIECE_BYTES, &line)) {
		mime_7bit_line(message->seven_bit, clean_line(&message->content, line),
			       span_ends(line, SPAN("\n")));
		buf_reset(waiting);
	}
}

static void end_conversion(struct message *message)
{
	struct buf *waiting = &message->content.unconverted;

	if (waiting->length > 0)
		mime_7bit_line(message->seven_bit, clean_line(&message->content, buf_span(waiting)),
			       true);
	buf_reset(waiting);
	mime_7bit_finish(message->seven_bit);
}

void content_add(struct message *message, struct span bytes)
{
	struct content *content = &message->content;

	content->size += bytes.n;
	if (conf->message_size_limit > 0 && content->size > (uint64_t)conf->message_size_limit) {
		message->is_full = true;
		message_refuse(message, SUBMIT_TOO_BIG, "5.3.4", "message file too big");
		return;
	}
	bytes = filter_bytes(message, bytes);
	if (message->seven_bit != NULL)
		add_unconverted(message, bytes);
	else
		add_bytes(message, bytes);
}

void content_end(struct message *message)
{
	struct content *content = &message->content;
	struct span line;

	if (message->seven_bit != NULL)
		end_conversion(message);
	line = buf_span(&content->line);
	if (content->place == CONTENT_START && line.n == 0)
		head_begin(message);
	if (content->place != CONTENT_BODY && line.n > 0 && !message->is_full)
		(void)add_head_line(message, line);
	else if (message->mime != NULL && line.n > 0)
		mime_line(message->mime, clean_line(content, line), true);
	if (content->place != CONTENT_BODY)
		begin_body(message);
	buf_reset(&content->line);
	if (message->mime != NULL)
		mime_finish(message->mime);
	if (content->is_after_cr)
		(void)settle_cr(message, (struct span){ NULL, 0 });
	if (content->line_size > 0) {
		queue_write_body(&message->writer, SPAN("\r\n"));
		end_line(message);
	}
}
