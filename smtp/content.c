/* SPDX-License-Identifier: MIT */
/*
 * Head and body on the wire: CRLF line ends, dots doubled (RFC 5321 4.5.2), lines folded at
 * smtp_line_length_limit. What the queue file says of its content decides what must be looked at;
 * the usual message is copied in blocks. The final dot is not sent here: it follows only when
 * the checksum of the body was right.
 */

#include "smtp.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "queue/envelope.h"

enum { HEAD_BYTES_MAX = 16 * 1024 * 1024 };

static bool fail_locally(struct transfer *transfer, const char *what)
{
	const char *text = errno == EBADMSG ? "queue file is damaged" : "queue file read error";

	log_warn("%s: %s (%s)", transfer->delivery->id, text, what);
	why_set(&transfer->why, "4.3.0", "%s", text);
	return false;
}

bool content_prepare(struct transfer *transfer)
{
	buf_init(&transfer->head, HEAD_BYTES_MAX);
	return queue_read_head(transfer->delivery->fd, &transfer->delivery->header,
			       &transfer->head) ||
	       fail_locally(transfer, "head");
}

/* ---- the wire ---- */

void wire_start(struct wire *wire, struct session *session)
{
	*wire = (struct wire){ .session = session,
			       .line_limit = (size_t)conf->smtp_line_length_limit,
			       .start = clock_mono_now() };
}

/*
 * Each block has smtp_data_xfer_timeout for itself; with smtp_per_request_deadline the whole has
 * that and what smtp_min_data_rate grants for its size.
 */
static void extend_deadline(struct wire *wire, size_t bytes)
{
	struct clock_mono start = clock_mono_now();
	int64_t limit_ms = (int64_t)conf->smtp_data_xfer_timeout * 1000;

	wire->deadline_bytes += bytes;
	if (conf->smtp_per_request_deadline && conf->smtp_min_data_rate > 0) {
		start = wire->start;
		limit_ms += (int64_t)(wire->deadline_bytes * 1000 /
				      (uint64_t)conf->smtp_min_data_rate);
	}
	stream_set_deadline(&wire->session->stream, clock_add_ms(start, limit_ms));
}

void wire_raw(struct wire *wire, struct span bytes)
{
	extend_deadline(wire, bytes.n);
	stream_write(&wire->session->stream, bytes);
}

static void put(struct wire *wire, struct span text)
{
	if (wire->column == 0 && text.n > 0 && text.p[0] == '.')
		stream_write(&wire->session->stream, SPAN("."));
	stream_write(&wire->session->stream, text);
	wire->column += text.n;
}

static void end_line(struct wire *wire)
{
	stream_write(&wire->session->stream, SPAN("\r\n"));
	wire->column = 0;
}

/* A line that is too long goes on behind a line end and a blank. */
void wire_line(void *context, struct span text, bool has_line_end)
{
	struct wire *wire = context;

	extend_deadline(wire, text.n);
	while (wire->line_limit > 0 && wire->column + text.n > wire->line_limit) {
		struct span part = span_first(text, wire->line_limit - wire->column);

		put(wire, part);
		text = span_from(text, part.n);
		end_line(wire);
		put(wire, SPAN(" "));
	}
	put(wire, text);
	if (has_line_end)
		end_line(wire);
}

/* ---- as it is ---- */

/* Writes a block of CRLF text with dots at line starts doubled; *at_start goes on. */
static void write_stuffed(struct wire *wire, struct span block, bool *at_start)
{
	while (block.n > 0) {
		const char *found;
		size_t size = block.n;

		if (*at_start && block.p[0] == '.')
			stream_write(&wire->session->stream, SPAN("."));
		found = memmem(block.p, block.n, "\n.", 2);
		if (found != NULL)
			size = (size_t)(found - block.p) + 1;
		wire_raw(wire, span_first(block, size));
		*at_start = block.p[size - 1] == '\n';
		block = span_from(block, size);
	}
}

static enum content send_body_blocks(struct wire *wire, struct transfer *transfer)
{
	struct delivery *delivery = transfer->delivery;
	bool has_dots = (delivery->header.content & CONTENT_DOTS) != 0;
	bool at_start = true;
	enum body_status status;
	struct queue_body body;
	struct span block;

	queue_body_start(&body, delivery->fd, &delivery->header);
	while ((status = queue_body_next(&body, &block)) == BODY_BLOCK &&
	       wire->session->stream.status == IO_OK) {
		if (has_dots)
			write_stuffed(wire, block, &at_start);
		else
			wire_raw(wire, block);
		at_start = block.p[block.n - 1] == '\n';
	}
	queue_body_done(&body);
	/* When the connection is gone the rest was not read: that is no damage. */
	if (status == BODY_DAMAGED || status == BODY_IO_ERROR) {
		errno = status == BODY_DAMAGED ? EBADMSG : errno;
		(void)fail_locally(transfer, "body");
		return CONTENT_FAILED;
	}
	if (!at_start)
		stream_write(&wire->session->stream, SPAN("\r\n"));
	return CONTENT_SENT;
}

/* Whether no line of the head needs anything; it is short, and in no content class. */
static bool is_head_plain(struct span head, size_t limit)
{
	while (head.n > 0) {
		size_t length = head.n;

		if (head.p[0] == '.')
			return false;
		(void)span_chr(head, '\n', &length);
		if (limit > 0 && length > limit + 1)
			return false;
		head = span_from(head, length + 1);
	}
	return true;
}

static void send_head(struct wire *wire, struct span head)
{
	struct span line;

	if (is_head_plain(head, wire->line_limit)) {
		wire_raw(wire, head);
	} else {
		while (span_line(&head, &line))
			wire_line(wire, line, true);
	}
	stream_write(&wire->session->stream, SPAN("\r\n"));
}

enum content content_send(struct session *session, struct transfer *transfer)
{
	struct wire wire;

	wire_start(&wire, session);
	if (convert_is_needed(session, transfer))
		return convert_send(&wire, transfer);
	send_head(&wire, buf_span(&transfer->head));
	return send_body_blocks(&wire, transfer);
}
