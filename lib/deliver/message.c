/* SPDX-License-Identifier: MIT */
/*
 * Message text for mailboxes and commands; see message.h. Runs as the user who gets the mail.
 * The queue file is checked by its CRCs, the text in it is remote.
 */

#include "deliver/message.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"

enum { OUTPUT_BYTES = 64 * 1024, OUTPUT_MAX = 16 * 1024 * 1024, HEAD_MAX = 16 * 1024 * 1024 };

static const struct span from_word = { "From ", 5 };

static struct span eol_of(const struct message_format *format)
{
	return format->eol.n > 0 ? format->eol : SPAN("\n");
}

/* ---- lines ---- */

/* The line begins for good, with what was held back of "From ". */
static void begin_line(struct message_lines *lines)
{
	(void)buf_append(lines->out, from_word.p, lines->from_bytes);
	lines->from_bytes = 0;
	lines->in_line = true;
}

static void flush_cr(struct message_lines *lines)
{
	if (!lines->has_cr)
		return;
	begin_line(lines);
	(void)buf_char(lines->out, '\r');
	lines->has_cr = false;
}

/* At the start of a line: quotes it, or holds back the beginning of "From ". Bytes taken. */
static size_t start_line(struct message_lines *lines, struct span text)
{
	size_t taken = 0;

	if (lines->from_bytes == 0 && text.p[0] == '.' &&
	    (lines->format->flags & MESSAGE_QUOTE_DOT) != 0)
		(void)buf_char(lines->out, '.');
	if ((lines->format->flags & MESSAGE_QUOTE_FROM) != 0) {
		while (taken < text.n && lines->from_bytes < from_word.n &&
		       text.p[taken] == from_word.p[lines->from_bytes]) {
			lines->from_bytes++;
			taken++;
		}
		if (lines->from_bytes < from_word.n && taken == text.n)
			return taken; /* the next block tells */
		if (lines->from_bytes == from_word.n)
			(void)buf_char(lines->out, '>');
	}
	begin_line(lines);
	return taken;
}

void message_lines_add(struct message_lines *lines, struct span block)
{
	while (block.n > 0) {
		const char *end = memchr(block.p, '\n', block.n);
		struct span text = span_first(block, end != NULL ? (size_t)(end - block.p) : block.n);
		bool is_ended = end != NULL;

		block = span_from(block, text.n + is_ended);
		if (text.n > 0)
			flush_cr(lines);
		lines->has_cr = lines->has_cr || (text.n > 0 && text.p[text.n - 1] == '\r');
		if (text.n > 0 && lines->has_cr)
			text.n--;
		if (text.n > 0 && !lines->in_line)
			text = span_from(text, start_line(lines, text));
		(void)buf_add(lines->out, text);
		if (is_ended) {
			begin_line(lines);
			(void)buf_add(lines->out, eol_of(lines->format));
			lines->has_cr = lines->in_line = false;
		}
	}
}

void message_lines_end(struct message_lines *lines)
{
	bool is_open = lines->in_line || lines->has_cr || lines->from_bytes > 0;

	flush_cr(lines);
	begin_line(lines);
	if (is_open)
		(void)buf_add(lines->out, eol_of(lines->format));
	lines->in_line = false;
}

/* ---- the message ---- */

struct copy {
	struct buf out;
	message_sink_fn *sink;
	void *context;
};

static bool pass_on(struct copy *copy, size_t at_least)
{
	if (copy->out.length < at_least || copy->out.length == 0)
		return true;
	if (!copy->sink(copy->context, buf_span(&copy->out)))
		return false;
	buf_reset(&copy->out);
	return true;
}

/* Feeds text of any length, a block at a time. */
static bool add_text(struct copy *copy, struct message_lines *lines, struct span text)
{
	while (text.n > 0) {
		struct span block = span_first(text, OUTPUT_BYTES);

		message_lines_add(lines, block);
		if (!pass_on(copy, OUTPUT_BYTES))
			return false;
		text = span_from(text, block.n);
	}
	return true;
}

static enum message_status add_head(struct copy *copy, struct message_lines *lines, int fd,
				    const struct queue_header *header)
{
	struct buf head = BUF_INIT(HEAD_MAX);
	enum message_status status = MESSAGE_OK;

	if (!queue_read_head(fd, header, &head))
		status = errno == EBADMSG ? MESSAGE_DAMAGED : MESSAGE_READ_ERROR;
	else if (!add_text(copy, lines, buf_span(&head)) || !add_text(copy, lines, SPAN("\n")))
		status = MESSAGE_WRITE_ERROR;

	int saved = errno;

	buf_done(&head);
	errno = saved;
	return status;
}

static enum message_status add_body(struct copy *copy, struct message_lines *lines, int fd,
				    const struct queue_header *header)
{
	struct queue_body body;
	struct span block;
	enum body_status next;
	enum message_status status = MESSAGE_OK;

	queue_body_start(&body, fd, header);
	while ((next = queue_body_next(&body, &block)) == BODY_BLOCK)
		if (!add_text(copy, lines, block)) {
			status = MESSAGE_WRITE_ERROR;
			break;
		}
	if (next == BODY_DAMAGED)
		status = MESSAGE_DAMAGED;
	else if (next == BODY_IO_ERROR)
		status = MESSAGE_READ_ERROR;

	int saved = errno;

	queue_body_done(&body);
	errno = saved;
	return status;
}

static enum message_status copy_parts(struct copy *copy, int fd, const struct message_format *format)
{
	struct message_lines lines = { .format = format, .out = &copy->out };
	struct queue_header header;
	enum queue_check check = queue_read_header(fd, &header);
	enum message_status status;

	if (check != QUEUE_GOOD)
		return check == QUEUE_IO_ERROR ? MESSAGE_READ_ERROR : MESSAGE_DAMAGED;
	if (format->from_line.n > 0) {
		(void)buf_add(&copy->out, format->from_line);
		(void)buf_add(&copy->out, eol_of(format));
	}
	if (!add_text(copy, &lines, format->prefix))
		return MESSAGE_WRITE_ERROR;
	status = add_head(copy, &lines, fd, &header);
	if (status == MESSAGE_OK)
		status = add_body(copy, &lines, fd, &header);
	if (status != MESSAGE_OK)
		return status;
	message_lines_end(&lines);
	if ((format->flags & MESSAGE_BLANK_END) != 0)
		(void)buf_add(&copy->out, eol_of(format));
	return pass_on(copy, 1) ? MESSAGE_OK : MESSAGE_WRITE_ERROR;
}

enum message_status message_copy(int fd, const struct message_format *format,
				 message_sink_fn *sink, void *context)
{
	struct copy copy = { .sink = sink, .context = context };
	enum message_status status;
	int saved;

	buf_init(&copy.out, OUTPUT_MAX);
	status = copy_parts(&copy, fd, format);
	saved = errno;
	buf_done(&copy.out);
	errno = saved;
	return status;
}

bool message_to_fd(void *context, struct span bytes)
{
	return fd_write_all(*(int *)context, bytes);
}
