/* SPDX-License-Identifier: MIT */
/*
 * Content that cannot go as it is. Lines go through up to two stages and then to the wire:
 *
 *     queue file -> mime (generic(5) in headers; header and body checks) -> 7bit -> wire
 *
 * Each stage is there only when it is needed. The message is from anybody.
 */

#include "smtp.h"

#include <errno.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/addr_list.h"
#include "mail/mime_7bit.h"
#include "queue/envelope.h"

enum {
	LINE_PIECE_BYTES = 16 * 1024, /* longer lines go in pieces */
	CONTENT_TEXT_MAX = 60,        /* of a line, in the log */
};

struct conversion {
	struct wire *wire;
	struct transfer *transfer;
	struct mime *mime;       /* NULL: not needed */
	struct mime_7bit *seven; /* NULL: not needed */
	struct buf line;         /* the end of a block, without its line end yet */
	struct buf header;       /* as it becomes */
	bool has_failed;         /* a table: why is set */
};

/* ---- what is needed ---- */

static bool has_checks(void)
{
	return !maps_is_empty(tables.header_checks) || !maps_is_empty(tables.mime_header_checks) ||
	       !maps_is_empty(tables.nested_header_checks) || !maps_is_empty(tables.body_checks);
}

static bool needs_mime(void)
{
	return has_checks() || !maps_is_empty(tables.generic);
}

static bool needs_7bit(const struct session *session, const struct transfer *transfer)
{
	return (transfer->delivery->header.content & CONTENT_8BIT) != 0 &&
	       (session->features & FEATURE_8BITMIME) == 0 && !conf->disable_mime_output_conversion;
}

/* A body line over the limit; the queue file knows of those over 998 bytes. */
static bool needs_folding(const struct transfer *transfer)
{
	int limit = conf->smtp_line_length_limit;

	return limit > 0 && (limit < 998 || (transfer->delivery->header.content &
					     CONTENT_LONG_LINES) != 0);
}

bool convert_is_needed(const struct session *session, const struct transfer *transfer)
{
	return needs_mime() || needs_7bit(session, transfer) || needs_folding(transfer);
}

/* ---- the last stages ---- */

static void emit(void *context, struct span line, bool has_line_end)
{
	struct conversion *c = context;

	if (c->seven != NULL)
		mime_7bit_line(c->seven, line, has_line_end);
	else
		wire_line(c->wire, line, has_line_end);
}

static void emit_lines(struct conversion *c, struct span text)
{
	struct span line;

	while (span_line(&text, &line))
		emit(c, line, true);
}

/* ---- checks (header_checks(5), as far as it goes in a delivery agent) ---- */

static void log_action(const struct conversion *c, const char *action, const char *where,
		       struct span content, struct span text)
{
	log_info("%s: %s: %s %s%s%s", c->transfer->delivery->id, action, where,
		 log_clean(span_first(content, CONTENT_TEXT_MAX)), text.n > 0 ? ": " : "",
		 log_clean(text));
}

/* Emits `content`, or what the table makes of it. `where` is "header" or "body". */
static bool apply_action(struct conversion *c, struct maps *maps, const char *where,
			 struct span content, struct span action, struct span *ret_content)
{
	struct span word = span_word(&action, " \t"), text = span_trim(action);

	if (span_is_nocase(word, "WARN")) {
		log_action(c, "warning", where, content, text);
	} else if (span_is_nocase(word, "INFO")) {
		log_action(c, "info", where, content, text);
	} else if (span_is_nocase(word, "REPLACE") && text.n > 0) {
		log_action(c, "replace", where, content, text);
		*ret_content = text;
	} else if (span_is_nocase(word, "PREPEND") && text.n > 0) {
		log_action(c, "prepend", where, content, text);
		emit_lines(c, text);
	} else if (span_is_nocase(word, "STRIP")) {
		log_action(c, "strip", where, content, text);
		return false;
	} else if (span_is_nocase(word, "IGNORE")) {
		return false;
	} else if (!span_is_nocase(word, "DUNNO") && !span_is_nocase(word, "OK")) {
		log_warn("unsupported command in %s map: %s", maps_title(maps), log_clean(word));
	}
	return true;
}

/* False: the line or header is dropped. *ret_content is borrowed until the next lookup. */
static bool check(struct conversion *c, struct maps *maps, const char *where, struct span content,
		  struct span *ret_content)
{
	struct span action;

	*ret_content = content;
	if (maps_is_empty(maps))
		return true;
	switch (maps_find(maps, NULL, content, false, &action)) {
	case TABLE_FOUND: return apply_action(c, maps, where, content, action, ret_content);
	case TABLE_NOT_FOUND: return true;
	case TABLE_ERROR:
	case TABLE_PENDING: break;
	}
	log_warn("%s: %s", maps_title(maps), maps_error(maps));
	why_set(&c->transfer->why, "4.3.0", "%s lookup failure", maps_title(maps));
	c->has_failed = true;
	return true;
}

static struct maps *header_maps(enum mime_head head, const struct header *header)
{
	if (head == MIME_HEAD_NESTED)
		return tables.nested_header_checks;
	if (head == MIME_HEAD_PART || (header->info->flags & HEADER_IS_MIME) != 0)
		return tables.mime_header_checks;
	return tables.header_checks;
}

/* ---- generic(5) in headers ---- */

static enum addr_change change_address(void *context, struct span internal,
				       struct buf *replacement)
{
	struct conversion *c = context;

	switch (generic_address(internal, replacement)) {
	case TABLE_FOUND: return buf_span(replacement).n > 0 ? ADDR_REPLACE : ADDR_KEEP;
	case TABLE_NOT_FOUND: return ADDR_KEEP;
	case TABLE_ERROR:
	case TABLE_PENDING: break;
	}
	why_set(&c->transfer->why, "4.3.0", "%s lookup failure", maps_title(tables.generic));
	c->has_failed = true;
	return ADDR_STOP;
}

/* The header with its addresses rewritten in c->header, or false when it stays as it is. */
static bool rewrite_header(struct conversion *c, enum mime_head head, const struct header *header)
{
	if (head != MIME_HEAD_PRIMARY || maps_is_empty(tables.generic) ||
	    (header->info->flags & (HEADER_HAS_SENDER | HEADER_HAS_RECIPIENT)) == 0)
		return false;
	buf_reset(&c->header);
	(void)buf_add(&c->header, header->name);
	(void)buf_char(&c->header, ':');
	return addr_list_rewrite(&c->header, header->value, header->name.n + 1, "\n",
				 change_address, c) == ADDR_REWRITE_CHANGED;
}

/* ---- mime events ---- */

static void on_header(void *context, enum mime_head head, const struct header *header)
{
	struct conversion *c = context;
	struct span content = span_trim_right(header->raw), checked;

	if (!check(c, header_maps(head, header), "header", content, &checked))
		return;
	if (checked.p == content.p && rewrite_header(c, head, header))
		checked = buf_span(&c->header);
	emit_lines(c, checked);
}

static void on_head_end(void *context, enum mime_head head, enum mime_end end,
			const struct mime_part *part)
{
	(void)head;
	(void)part;
	if (end == MIME_END_BLANK)
		emit(context, SPAN(""), true);
}

static void on_body(void *context, struct span line, bool has_line_end, uint64_t offset)
{
	struct conversion *c = context;
	struct span checked = line;

	if (offset < (uint64_t)conf->body_checks_size_limit &&
	    !check(c, tables.body_checks, "body", line, &checked))
		return;
	if (checked.p != line.p)
		emit_lines(c, checked);
	else
		emit(c, line, has_line_end);
}

static void on_boundary(void *context, struct span line, bool has_line_end)
{
	on_body(context, line, has_line_end, 0);
}

/* ---- the first stage ---- */

static void feed(struct conversion *c, struct span line, bool has_line_end)
{
	if (c->mime != NULL)
		mime_line(c->mime, line, has_line_end);
	else
		emit(c, line, has_line_end);
}

/* A block of CRLF text; what is behind its last line end waits in c->line. */
static void feed_block(struct conversion *c, struct span block)
{
	size_t at;

	while (span_chr(block, '\n', &at)) {
		struct span line = span_first(block, at);

		if (buf_span(&c->line).n > 0) {
			(void)buf_add(&c->line, line);
			line = buf_span(&c->line);
		}
		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line.n--;
		feed(c, line, true);
		buf_reset(&c->line);
		block = span_from(block, at + 1);
	}
	while (block.n > 0) {
		struct span part = span_first(block, LINE_PIECE_BYTES);

		/* A piece never ends with CR: the next byte may be LF. */
		if (buf_span(&c->line).n + part.n > LINE_PIECE_BYTES && buf_span(&c->line).n > 1) {
			struct span piece = buf_span(&c->line);
			bool has_cr = piece.p[piece.n - 1] == '\r';

			feed(c, span_first(piece, piece.n - has_cr), false);
			buf_consume(&c->line, piece.n - has_cr);
		}
		(void)buf_add(&c->line, part);
		block = span_from(block, part.n);
	}
}

static enum content feed_message(struct conversion *c)
{
	struct delivery *delivery = c->transfer->delivery;
	struct queue_body body;
	struct span block;
	enum body_status status = BODY_BLOCK;

	feed_block(c, buf_span(&c->transfer->head));
	feed(c, SPAN(""), true);
	queue_body_start(&body, delivery->fd, &delivery->header);
	while (!c->has_failed && c->wire->session->stream.status == IO_OK &&
	       (status = queue_body_next(&body, &block)) == BODY_BLOCK)
		feed_block(c, block);
	queue_body_done(&body);
	if (c->has_failed)
		return CONTENT_FAILED;
	if (status == BODY_DAMAGED || status == BODY_IO_ERROR) {
		log_warn("%s: queue file is damaged (body)", delivery->id);
		why_set(&c->transfer->why, "4.3.0", "queue file is damaged");
		return CONTENT_FAILED;
	}
	if (buf_span(&c->line).n > 0)
		feed(c, buf_span(&c->line), true);
	if (c->mime != NULL)
		mime_finish(c->mime);
	if (c->seven != NULL)
		mime_7bit_finish(c->seven);
	return c->has_failed ? CONTENT_FAILED : CONTENT_SENT;
}

static void open_stages(struct conversion *c)
{
	static const struct mime_events events = {
		.header = on_header, .head_end = on_head_end, .body = on_body,
		.boundary = on_boundary,
	};
	struct mime_7bit_rules rules = {
		.mime = { .header_size_limit = (size_t)conf->header_size_limit,
			  .boundary_length_limit = (size_t)conf->mime_boundary_length_limit,
			  .nesting_limit = (unsigned)conf->mime_nesting_limit },
		.has_untagged = true,
	};

	if (needs_mime())
		c->mime = mime_new(&rules.mime, &events, c);
	if (needs_7bit(c->wire->session, c->transfer))
		c->seven = mime_7bit_new(&rules, wire_line, c->wire);
}

enum content convert_send(struct wire *wire, struct transfer *transfer)
{
	struct conversion c = { .wire = wire, .transfer = transfer };
	enum content content;

	buf_init(&c.line, 2 * LINE_PIECE_BYTES + 65536);
	buf_init(&c.header, BUF_LIMIT_DEFAULT);
	open_stages(&c);
	content = feed_message(&c);
	if (content == CONTENT_SENT && wire->column > 0)
		wire_line(wire, SPAN(""), true);
	mime_free(c.mime);
	mime_7bit_free(c.seven);
	buf_done(&c.line);
	buf_done(&c.header);
	return content;
}
