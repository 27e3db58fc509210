/* SPDX-License-Identifier: MIT */
/* Replies to the client, and what too many errors do. RFC 5321 4.2; postconf(5) smtpd_soft_error_limit. */

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "conf/conf.h"
#include "smtpd/footer.h"
#include "smtpd/session.h"

const char *client_text(const struct session *s)
{
	static char text[400];

	if (conf->smtpd_client_port_logging)
		(void)snprintf(text, sizeof(text), "%s[%s]:%s", s->peer.name, s->peer.addr,
			       s->peer.port);
	else
		(void)snprintf(text, sizeof(text), "%s[%s]", s->peer.name, s->peer.addr);
	return text;
}

/* smtpd_reject_filter_maps: another reply in place of a refusal; it must be a refusal as well. */
static void filter_refusal(struct buf *text)
{
	struct span value;

	if (maps_is_empty(tables.reject_filter) || text->length == 0 ||
	    (text->data[0] != '4' && text->data[0] != '5'))
		return;
	switch (maps_find(tables.reject_filter, NULL, buf_span(text), false, &value)) {
	case TABLE_FOUND:
		if (value.n > 4 && (value.p[0] == '4' || value.p[0] == '5') &&
		    ascii_is_digit(value.p[1]) && ascii_is_digit(value.p[2]) &&
		    value.p[3] == ' ')
			(void)buf_set(text, value);
		else
			log_warn("smtpd_reject_filter_maps: not a 4xx or 5xx reply: %s",
				 log_clean(value));
		break;
	case TABLE_ERROR: log_warn("%s", maps_error(tables.reject_filter)); break;
	case TABLE_NOT_FOUND:
	case TABLE_PENDING: break;
	}
}

/* Sends it, as smtpd_reject_filter_maps and smtpd_reject_footer have it. `text` is changed. */
static void send_text(struct session *s, struct buf *text)
{
	struct buf lines = BUF_INIT(8192);

	filter_refusal(text);
	/* One reply is one line, whatever was put into it. */
	for (size_t i = 0; i < text->length; i++)
		if ((unsigned char)text->data[i] < ' ' || text->data[i] == 0x7f)
			text->data[i] = '?';
	if (span_starts(buf_span(text), SPAN("421")) || span_starts(buf_span(text), SPAN("521")))
		s->must_close = true;
	notice_line(s, "Out", buf_span(text));
	footer_add(&lines, s, buf_span(text));
	stream_write(&s->stream, buf_span(&lines));
	buf_done(&lines);
}

PRINTF_LIKE(2, 0)
static void send_reply(struct session *s, const char *format, va_list args)
{
	struct buf text = BUF_INIT(4096);

	(void)buf_vprintf(&text, format, args);
	send_text(s, &text);
	buf_done(&text);
}

void reply_quietly(struct session *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	send_reply(s, format, args);
	va_end(args);
}

/* A client that makes errors waits: first what it is owed goes out, then nothing for a while. */
static void slow_down(struct session *s)
{
	struct timespec pause = { .tv_sec = conf->smtpd_error_sleep_time };

	if (s->errors <= conf->smtpd_soft_error_limit || pause.tv_sec == 0)
		return;
	(void)stream_flush(&s->stream);
	(void)nanosleep(&pause, NULL);
}

void log_refusal(const struct session *s, struct span text)
{
	struct buf context = BUF_INIT(1024);

	if (s->protocol != NULL)
		(void)buf_printf(&context, " proto=%s", s->protocol);
	if (s->helo.length > 0)
		(void)buf_printf(&context, " helo=<%s>", log_clean(buf_span(&s->helo)));
	if (s->said_size > 0)
		(void)buf_printf(&context, " said=<%s>",
				 log_clean((struct span){ s->said, s->said_size }));
	log_info("%s: reject: %s from %s: %s;%s", s->mail.was_logged ? s->queue_id : "NOQUEUE", s->where,
		 client_text(s), log_clean(text), buf_str(&context));
	buf_done(&context);
}

/* "%s" is a restriction's or cleanup's reply; all others are about the protocol. */
static void count_error(struct session *s, const char *format)
{
	s->errors++;
	if (*format != '%')
		s->troubles |= NOTICE_PROTOCOL;
	slow_down(s);
}

void reply(struct session *s, const char *format, ...)
{
	struct buf text = BUF_INIT(4096);
	va_list args;

	va_start(args, format);
	(void)buf_vprintf(&text, format, args);
	va_end(args);
	if (*buf_str(&text) >= '4') {
		if (*format != '%')
			log_refusal(s, buf_span(&text));
		count_error(s, format);
	}
	send_text(s, &text);
	buf_done(&text);
}

void reply_logged(struct session *s, const char *format, ...)
{
	va_list args;

	count_error(s, format);
	va_start(args, format);
	send_reply(s, format, args);
	va_end(args);
}
