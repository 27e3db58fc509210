/* SPDX-License-Identifier: MIT */
/*
 * The header section: each header is checked, rewritten or dropped as it is complete, and what
 * a message from here must have is added at the end. Runs in cleanup's workers, on the bytes of
 * strangers. RFC 5322 3.6, cleanup(8).
 */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/utf8.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/date.h"

enum { KEEP_BYTES = 64 * 1024, DROPPED_MAX = 64 };

/* message_drop_headers */
static struct {
	struct span names[DROPPED_MAX];
	size_t count;
} dropped;

void head_prepare(void)
{
	struct span rest = span_of(conf->message_drop_headers), name;

	while ((name = span_word(&rest, ", \t\r\n")).n > 0) {
		if (dropped.count == DROPPED_MAX)
			fatal("message_drop_headers: more than %d names", DROPPED_MAX);
		dropped.names[dropped.count++] = name;
	}
}

static bool is_dropped(struct span name)
{
	for (size_t i = 0; i < dropped.count; i++)
		if (span_eq_nocase(dropped.names[i], name))
			return true;
	return false;
}

void head_reset(struct head *head)
{
	struct buf header = head->header, out = head->out;
	struct authors authors = head->authors;

	buf_shrink(&header, KEEP_BYTES);
	buf_shrink(&out, KEEP_BYTES);
	authors_reset(&authors);
	*head = (struct head){ .header = header, .out = out, .authors = authors };
}

/* Appends finished text; a head that grows over HEAD_MAX_BYTES is refused. */
static void put_text(struct message *message, struct span text)
{
	if (buf_add(&message->head.out, text))
		return;
	message->is_full = true;
	message_refuse(message, SUBMIT_TOO_BIG, "5.3.4", "message header section too big");
}

void head_begin(struct message *message)
{
	if ((message->options & SUBMIT_NO_RECEIVED) == 0)
		received_make(message, &message->head.out);
}

/* Whether headers are rewritten and completed as those of local mail. */
static bool is_local(const struct message *message)
{
	return span_is(message->envelope.rewrite_context, "local");
}

static void log_id(const struct message *message, const char *name, struct span value)
{
	struct buf text = BUF_INIT(HEAD_MAX_BYTES);

	(void)header_unfold(&text, value);
	log_info("%s: %s=%s", message->id, name, log_clean(buf_span(&text)));
	buf_done(&text);
}

/* 8bit and binary say so of the whole message (postconf(5) detect_8bit_encoding_header). */
static void note_encoding(struct message *message, struct span value)
{
	struct span encoding = span_trim(value);

	if (conf->detect_8bit_encoding_header &&
	    (span_is_nocase(encoding, "8bit") || span_is_nocase(encoding, "binary")))
		message->envelope.body_type = SPAN("8bit");
}

/*
 * RFC 8689 3, and Postfix's header that brings REQUIRETLS through a content filter. A second
 * header of a name says nothing.
 */
static void note_tls(struct message *message, enum header_id id, struct span value)
{
	if (message->head.has[id])
		return;
	if (id == HEADER_TLS_REQUIRED && conf->tls_required_enable &&
	    span_is_nocase(span_trim(value), "no"))
		message->envelope.flags |= ENVELOPE_TLS_OPTIONAL;
	if (id == HEADER_REQUIRE_TLS_ESMTP && conf->requiretls_esmtp_header &&
	    conf->requiretls_enable && span_is_nocase(span_trim(value), "yes"))
		message->envelope.flags |= ENVELOPE_REQUIRETLS;
}

static void note_header(struct message *message, const struct header *header)
{
	struct head *head = &message->head;
	enum header_id id = header->info->id;

	if (id == HEADER_TLS_REQUIRED || id == HEADER_REQUIRE_TLS_ESMTP)
		note_tls(message, id, header->value);
	head->has[id] = true;
	if ((header->info->flags & HEADER_IS_RESENT) != 0)
		head->is_resent = true;
	if ((header->info->flags & HEADER_IS_ADDRESSEE) != 0)
		head->has_addressee = true;
	if (id == HEADER_MESSAGE_ID)
		log_id(message, "message-id", header->value);
	else if (id == HEADER_RESENT_MESSAGE_ID)
		log_id(message, "resent-message-id", header->value);
	else if (id == HEADER_CONTENT_TRANSFER_ENCODING)
		note_encoding(message, header->value);
	else if (id == HEADER_RECEIVED && ++head->hops == conf->hopcount_limit + 1)
		message_refuse(message, SUBMIT_LOOP, "5.4.0", "too many hops");
}

/* A header of addresses with these in their final form; false when nothing changes. */
static bool put_rewritten(struct message *message, const struct header *header)
{
	struct buf value = BUF_INIT(HEAD_MAX_BYTES);
	bool is_changed = rewrite_header(message, header, &value);

	if (is_changed) {
		put_text(message, header->name);
		put_text(message, SPAN(":"));
		put_text(message, buf_span(&value));
		put_text(message, SPAN("\r\n"));
	}
	buf_done(&value);
	return is_changed;
}

void head_put(struct message *message, struct span raw)
{
	enum { HAS_ADDRESSES = HEADER_HAS_SENDER | HEADER_HAS_RECIPIENT };
	size_t before = message->head.out.length;
	struct span rest = raw;
	struct header header;

	if (!header_next(&rest, &header)) {
		put_text(message, raw);
		return;
	}
	note_header(message, &header);
	if (is_dropped(header.name))
		return;
	authors_note(message, &header);
	if ((header.info->flags & HAS_ADDRESSES) == 0 || !put_rewritten(message, &header))
		put_text(message, raw);
	if (header.info->id == HEADER_SENDER)
		authors_hold(message, before);
}

/* The header as tables see it: "\n" between its lines. Borrowed from `raw` or `scratch`. */
static struct span check_key(struct span raw, struct buf *scratch)
{
	struct span rest = raw, line;

	raw.n -= 2;
	if (!span_has(raw, '\r'))
		return raw;
	while (span_line(&rest, &line)) {
		if (scratch->length > 0)
			(void)buf_char(scratch, '\n');
		(void)buf_add(scratch, line);
	}
	return buf_span(scratch);
}

static void check_and_put(struct message *message, struct span raw)
{
	struct buf scratch = BUF_INIT(HEAD_MAX_BYTES), text = BUF_INIT(HEAD_MAX_BYTES);
	struct span answer;
	enum check_verdict verdict =
		checks_ask(message, CHECK_HEADER, check_key(raw, &scratch), &answer);

	if (verdict == CHECK_REPLACE || verdict == CHECK_PREPEND) {
		(void)buf_add(&text, answer);
		(void)buf_text(&text, "\r\n");
		head_put(message, buf_span(&text));
	}
	if (verdict == CHECK_KEEP || verdict == CHECK_PREPEND)
		head_put(message, raw);
	buf_done(&scratch);
	buf_done(&text);
}

/* The header that was being read is complete. */
static void finish_header(struct message *message)
{
	struct head *head = &message->head;
	struct span raw;

	if (head->header.length == 0)
		return;
	(void)buf_text(&head->header, "\r\n");
	raw = buf_span(&head->header);
	/* A reader that stops at the NUL would see another header than one that does not. */
	if (span_has(raw, '\0')) {
		checks_log(message, "reject", "header", raw,
			   SPAN("5.6.0 NUL character in message header"));
		message_refuse(message, SUBMIT_REJECT, "5.6.0", "NUL character in message header");
	}
	if (utf8_has_8bit(raw))
		head->has_8bit = true;
	if (message->is_checked)
		check_and_put(message, raw);
	else
		head_put(message, raw);
	buf_reset(&head->header);
	head->is_cut = false;
}

/* Adds to the header that is being read what header_size_limit leaves room for. */
static void add_text(struct head *head, struct span text)
{
	size_t limit = (size_t)conf->header_size_limit;
	size_t room = head->header.length < limit ? limit - head->header.length : 0;

	if (head->is_cut)
		return;
	(void)buf_add(&head->header, span_first(text, room));
	head->is_cut = text.n > room;
}

bool head_add_line(struct message *message, struct span line, bool is_first)
{
	struct head *head = &message->head;

	if (is_first && header_is_mailbox_line(line)) {
		add_text(head, SPAN("X-Mailbox-Line: "));
		add_text(head, line);
		return true;
	}
	if (head->header.length > 0 && header_is_continuation(line)) {
		if (head->header.length + 2 < (size_t)conf->header_size_limit)
			add_text(head, SPAN("\r\n"));
		add_text(head, line);
		return true;
	}
	if (header_name_length(line, NULL) == 0)
		return false;
	finish_header(message);
	add_text(head, line);
	return true;
}

/* ---- what is missing ---- */

static struct clock_wall arrival(const struct message *message)
{
	return message->writer.header.arrival;
}

static void add_message_id(struct message *message, const char *resent)
{
	time_t now = (time_t)(arrival(message).us / 1000000);
	struct tm tm;
	char stamp[32];
	char *text;

	(void)gmtime_r(&now, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y%m%d%H%M%S", &tm);
	text = arena_printf(&message->arena, "%sMessage-Id: <%s.%s@%s>\r\n", resent, stamp,
			    message->id, conf->myhostname);
	head_put(message, span_of(text));
}

/* A name as a phrase (RFC 5322 3.2.5): as it is, or quoted. */
static void put_phrase(struct buf *out, struct span name)
{
	bool is_plain = true;

	for (size_t i = 0; i < name.n; i++)
		is_plain = is_plain && (addr_is_atext(name.p[i]) || name.p[i] == ' ');
	if (is_plain) {
		(void)buf_add(out, name);
		return;
	}
	(void)buf_char(out, '"');
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '"' || name.p[i] == '\\')
			(void)buf_char(out, '\\');
		(void)buf_char(out, name.p[i]);
	}
	(void)buf_char(out, '"');
}

/*
 * A name with bytes above 0x7f as encoded words (RFC 2047 2, 4.2), each of at most 75 bytes and
 * with whole UTF-8 characters in it.
 */
static void put_encoded(struct buf *out, struct span name, const char *charset)
{
	enum { WORD_BYTES = 75, WORD_EXTRA = 7 }; /* =?charset?Q?...?= */
	size_t width = 0, room = WORD_BYTES - WORD_EXTRA - strlen(charset);
	bool is_open = false;

	while (name.n > 0) {
		size_t size = utf8_char_length(name);

		if (size == 0)
			size = 1;
		if (!is_open || width + size * 3 > room) {
			(void)buf_printf(out, "%s=?%s?Q?", is_open ? "?= " : "", charset);
			is_open = true;
			width = 0;
		}
		for (size_t i = 0; i < size; i++) {
			if (ascii_is_alnum(name.p[i]))
				(void)buf_char(out, name.p[i]);
			else
				(void)buf_printf(out, "=%02X", (unsigned)(unsigned char)name.p[i]);
			width += ascii_is_alnum(name.p[i]) ? 1 : 3;
		}
		name = span_from(name, size);
	}
	(void)buf_text(out, "?=");
}

static void put_full_name(struct buf *out, struct span name)
{
	const char *charset = conf->full_name_encoding_charset;

	if (utf8_has_8bit(name) && *charset != '\0' && strlen(charset) < 32)
		put_encoded(out, name, charset);
	else
		put_phrase(out, name);
}

/* Inside a comment (RFC 5322 3.2.2). */
static void put_comment(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '(' || text.p[i] == ')' || text.p[i] == '\\')
			(void)buf_char(out, '\\');
		(void)buf_char(out, text.p[i]);
	}
}

static void add_from(struct message *message, const char *resent)
{
	struct buf text = BUF_INIT(HEAD_MAX_BYTES), address = BUF_INIT(HEAD_MAX_BYTES);
	struct span sender = message->envelope.sender, name = message->envelope.full_name;

	if (sender.n > 0)
		(void)addr_quote(&address, sender);
	else
		(void)buf_text(&address, "MAILER-DAEMON");
	(void)buf_printf(&text, "%sFrom: ", resent);
	if (name.n == 0 || sender.n == 0) {
		(void)buf_add(&text, buf_span(&address));
	} else if (strcmp(conf->header_from_format, "obsolete") == 0) {
		(void)buf_printf(&text, "%s (", buf_str(&address));
		put_comment(&text, name);
		(void)buf_char(&text, ')');
	} else {
		put_full_name(&text, name);
		(void)buf_printf(&text, " <%s>", buf_str(&address));
	}
	(void)buf_text(&text, "\r\n");
	/* The sender is in its final form already. */
	put_text(message, buf_span(&text));
	buf_done(&text);
	buf_done(&address);
}

static void add_missing(struct message *message)
{
	const struct head *head = &message->head;
	const char *resent = head->is_resent ? "Resent-" : "";
	char date[DATE_SIZE];

	if (!head->has[head->is_resent ? HEADER_RESENT_MESSAGE_ID : HEADER_MESSAGE_ID])
		add_message_id(message, resent);
	if (!head->has[head->is_resent ? HEADER_RESENT_DATE : HEADER_DATE]) {
		(void)date_rfc5322(arrival(message), date);
		put_text(message,
			 span_of(arena_printf(&message->arena, "%sDate: %s\r\n", resent, date)));
	}
	if (!head->has[head->is_resent ? HEADER_RESENT_FROM : HEADER_FROM]) {
		add_from(message, resent);
		if (!head->is_resent)
			authors_note_added(message);
	}
	if (!head->has_addressee && *conf->undisclosed_recipients_header != '\0')
		put_text(message, span_of(arena_printf(&message->arena, "%s\r\n",
						       conf->undisclosed_recipients_header)));
}

void head_end(struct message *message)
{
	finish_header(message);
	if ((message->envelope.flags & ENVELOPE_REQUIRETLS) != 0 && conf->requiretls_enable &&
	    conf->requiretls_esmtp_header && (message->options & SUBMIT_INTERNAL) == 0 &&
	    !message->head.has[HEADER_REQUIRE_TLS_ESMTP])
		put_text(message, SPAN("Require-TLS-ESMTP: yes\r\n"));
	if (is_local(message) || conf->always_add_missing_headers)
		add_missing(message);
	if (!message->head.has[HEADER_MESSAGE_ID] && !message->head.has[HEADER_RESENT_MESSAGE_ID])
		log_info("%s: message-id=<>", message->id);
}
