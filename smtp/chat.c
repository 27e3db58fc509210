/* SPDX-License-Identifier: MIT */
/* Commands out, replies in. The server may say anything: limits are those of mail/smtp_reply.h. */

#include "smtp.h"

#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"

static chat_tracer_fn *tracer;

void chat_trace_to(chat_tracer_fn *wanted)
{
	tracer = wanted;
}

void chat_trace(const struct session *session, char direction, struct span line)
{
	if (tracer != NULL)
		tracer(direction, line);
	if (log_verbosity() > 0)
		log_debug("%c %s: %s", direction, session->name, log_clean(line));
}

void chat_say(struct session *session, const char *format, ...)
{
	struct buf line = BUF_INIT(16384);
	va_list args;

	va_start(args, format);
	(void)buf_vprintf(&line, format, args);
	va_end(args);
	chat_trace(session, '>', buf_span(&line));
	(void)buf_text(&line, "\r\n");
	stream_write(&session->stream, buf_span(&line));
	buf_done(&line);
}

static enum chat broken(struct session *session, enum chat chat)
{
	session->is_broken = true;
	return chat;
}

/* smtp_reply_filter: what the table says instead of this line, for servers that need it. */
static struct span filter_line(struct span line)
{
	struct span better;

	if (maps_is_empty(tables.reply_filter))
		return line;
	switch (maps_find(tables.reply_filter, NULL, line, false, &better)) {
	case TABLE_FOUND: return better;
	case TABLE_NOT_FOUND: return line;
	case TABLE_ERROR:
	case TABLE_PENDING: break;
	}
	log_warn("%s: %s", maps_title(tables.reply_filter), maps_error(tables.reply_filter));
	return line;
}

/*
 * smtp_strict_replies: every line ends in CR LF and has the code of the first (RFC 5321 2.3.8,
 * 4.2.1), or somebody else made it of text that the server quotes. `code` is that of the first.
 */
static bool is_strict_line(struct span line, bool is_crlf, char code[3], bool is_first)
{
	if (!conf->smtp_strict_replies || line.n < 3)
		return true;
	if (is_first)
		memcpy(code, line.p, 3);
	return is_crlf && memcmp(code, line.p, 3) == 0;
}

enum chat chat_listen(struct session *session, int timeout_s, chat_line_fn *on_line, void *context)
{
	struct smtp_reply *reply = &session->reply;
	enum smtp_reply_step step = SMTP_REPLY_MORE;
	int64_t limit_ms = (int64_t)timeout_s * 1000;
	char code[3];

	smtp_reply_reset(reply);
	stream_set_deadline(&session->stream, clock_in_ms(limit_ms));
	while (step == SMTP_REPLY_MORE) {
		struct span line;
		bool is_crlf = false;
		enum io_status status =
			stream_line(&session->stream, SMTP_REPLY_LINE_MAX, &line, &is_crlf);

		if (!conf->smtp_per_request_deadline)
			stream_set_deadline(&session->stream, clock_in_ms(limit_ms));
		if (status == IO_TIMEOUT)
			return broken(session, CHAT_TIMEOUT);
		if (status == IO_EOF || status == IO_ERROR)
			return broken(session, CHAT_LOST);
		chat_trace(session, '<', line);
		line = filter_line(line);
		step = smtp_reply_line(reply, line);
		if (status == IO_TOOLONG || step == SMTP_REPLY_BAD ||
		    !is_strict_line(line, is_crlf, code, reply->lines == 1)) {
			reply->line_text = line;
			return broken(session, CHAT_MALFORMED);
		}
		if (on_line != NULL)
			on_line(context, reply->line_text, reply->lines == 1);
	}
	if (reply->code == 421)
		session->is_closing = true;
	return CHAT_OK;
}
