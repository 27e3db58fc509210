/* SPDX-License-Identifier: MIT */
/*
 * Writes notifications: RFC 3462 (multipart/report), RFC 3464 (delivery status fields), RFC
 * 6533 (internationalized). Everything from outside, remote replies above all, loses its
 * control characters on the way into a header or field.
 */

#include "services/bounce/report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/date.h"
#include "mail/dsn.h"
#include "mail/header.h"
#include "queue/envelope.h"

enum { FOLD_COLUMN = 79, TEXT_MAX = 16384, HEAD_MAX = 16 * 1024 * 1024 };

struct writer {
	report_put_fn *put;
	void *context;
};

static void put_span(const struct writer *w, struct span bytes)
{
	w->put(w->context, bytes);
}

static void put_line(const struct writer *w, const char *format, ...) PRINTF_LIKE(2, 3);

/* One line; CRLF is added. */
static void put_line(const struct writer *w, const char *format, ...)
{
	struct buf line = BUF_INIT(TEXT_MAX);
	va_list args;

	va_start(args, format);
	(void)buf_vprintf(&line, format, args);
	va_end(args);
	(void)buf_text(&line, "\r\n");
	put_span(w, buf_span(&line));
	buf_done(&line);
}

/* Text with LF line ends. */
static void put_text(const struct writer *w, struct span text)
{
	struct span line;

	while (span_line(&text, &line)) {
		put_span(w, line);
		put_span(w, SPAN("\r\n"));
	}
}

static void clean_controls(struct buf *text)
{
	for (size_t i = 0; i < text->length; i++)
		if ((unsigned char)text->data[i] < ' ' || text->data[i] == 0x7f)
			text->data[i] = ' ';
}

/* Words as they fit into a line; the next lines are indented. A long word stays whole. */
static void put_folded(const struct writer *w, struct buf *text)
{
	struct buf line = BUF_INIT(2 * TEXT_MAX);
	struct span rest, word;
	size_t column = 0;

	clean_controls(text);
	rest = buf_span(text);
	while ((word = span_word(&rest, " ")).n > 0) {
		if (column > 0 && column + 1 + word.n > FOLD_COLUMN) {
			(void)buf_text(&line, "\r\n    ");
			column = 4;
		} else if (column > 0) {
			(void)buf_char(&line, ' ');
			column++;
		}
		(void)buf_add(&line, word);
		column += word.n;
	}
	(void)buf_text(&line, "\r\n");
	put_span(w, buf_span(&line));
	buf_done(&line);
}

static void add_quoted(struct buf *out, struct span address)
{
	(void)addr_quote(out, address);
}

/* ---- the header ---- */

/* References: and In-Reply-To: put it into the thread of the original. */
static void put_thread(const struct writer *w, const struct report *report)
{
	struct buf head = BUF_INIT(HEAD_MAX), id = BUF_INIT(1000), references = BUF_INIT(8000);
	struct header header;
	struct span rest;

	if (queue_read_head(report->file->fd, &report->file->header, &head)) {
		rest = buf_span(&head);
		while (header_next(&rest, &header)) {
			if (header.info->id == HEADER_MESSAGE_ID && id.length == 0)
				(void)header_unfold(&id, header.value);
			else if (header.info->id == HEADER_REFERENCES && references.length == 0)
				(void)header_unfold(&references, header.value);
		}
	}
	if (id.length > 0) {
		put_line(w, "In-Reply-To: %s", buf_str(&id));
		(void)buf_printf(&references, "%s%s", references.length > 0 ? " " : "",
				 buf_str(&id));
		/* One on each line: nobody has to fold it. */
		struct span all = buf_span(&references), one;
		const char *before = "References: ";

		while ((one = span_word(&all, " \t\r\n")).n > 0) {
			put_span(w, span_of(before));
			put_span(w, one);
			before = "\r\n ";
		}
		put_span(w, SPAN("\r\n"));
	}
	buf_done(&head);
	buf_done(&id);
	buf_done(&references);
}

void report_header(const struct report *report, const struct report_reader *reader,
		   report_put_fn *put, void *context)
{
	const struct words *words = report->words;
	struct writer w = { put, context };
	struct buf to = BUF_INIT(4096);
	char date[DATE_SIZE];

	add_quoted(&to, reader->address);
	clean_controls(&to);
	(void)date_rfc5322(clock_wall_now(), date);
	put_line(&w, "Date: %s", date);
	put_line(&w, "From: %s", words->from);
	put_line(&w, "Subject: %s",
		 reader->is_postmaster && *words->postmaster_subject != '\0'
			 ? words->postmaster_subject
			 : words->subject);
	put_line(&w, "To: %s", buf_str(&to));
	if (report->is_tls_optional)
		put_line(&w, "TLS-Required: no");
	if (conf->enable_threaded_bounces)
		put_thread(&w, report);
	put_line(&w, "Auto-Submitted: %s",
		 reader->is_postmaster ? "auto-generated" : "auto-replied");
	put_line(&w, "MIME-Version: 1.0");
	put_line(&w, "Content-Type: multipart/report; report-type=%s;\r\n\tboundary=\"%s\"",
		 report->is_utf8 ? "global-delivery-status" : "delivery-status",
		 report->boundary);
	put_line(&w, "Content-Transfer-Encoding: %s",
		 span_is_nocase(report->envelope.body_type, "7bit") ? "7bit" : "8bit");
	put_line(&w, "%s", "");
	put_line(&w, "This is a MIME-encapsulated message.");
	put_line(&w, "%s", "");
	buf_done(&to);
}

/* ---- the parts ---- */

bool report_has(const struct report_reader *reader, const struct report_rcpt *rcpt)
{
	return reader->only != NULL ? reader->only == rcpt
				    : reader->is_postmaster || rcpt->is_sender_told;
}

static void start_part(const struct writer *w, const struct report *report,
		       const char *description, const char *type, const char *encoding)
{
	put_line(w, "--%s", report->boundary);
	put_line(w, "Content-Description: %s", description);
	put_line(w, "Content-Type: %s", type);
	if (encoding != NULL)
		put_line(w, "Content-Transfer-Encoding: %s", encoding);
	put_line(w, "%s", "");
}

/* A report of deliveries that went well, or of a probe, says who made them. */
static void add_reason(const struct report *report, const struct msg_outcome *outcome,
		       struct buf *out)
{
	if (report->kind == BOUNCE_TRACE && outcome->relay.n > 0 &&
	    !span_is(outcome->relay, "none"))
		(void)buf_printf(out, "delivery via %.*s: ", SPAN_ARG(outcome->relay));
	(void)buf_add(out, outcome->reason);
}

static void put_notice_rcpt(const struct writer *w, const struct report *report,
			    const struct msg_outcome *outcome)
{
	struct buf text = BUF_INIT(TEXT_MAX);

	(void)buf_char(&text, '<');
	add_quoted(&text, outcome->address);
	(void)buf_char(&text, '>');
	if (outcome->orig_address.n > 0 &&
	    !span_eq_nocase(outcome->orig_address, outcome->address)) {
		(void)buf_text(&text, " (expanded from <");
		add_quoted(&text, outcome->orig_address);
		(void)buf_text(&text, ">)");
	}
	(void)buf_text(&text, ": ");
	add_reason(report, outcome, &text);
	put_folded(w, &text);
	buf_done(&text);
}

static void put_notice(const struct writer *w, const struct report *report,
		       const struct report_reader *reader)
{
	struct buf type = BUF_INIT(200);
	const char *charset = report->words->charset;

	/* Reasons and addresses follow the words, and may hold UTF-8. */
	if (strcmp(charset, "us-ascii") == 0)
		charset = "utf-8";
	(void)buf_printf(&type, "text/plain; charset=%s", charset);
	start_part(w, report, "Notification", buf_str(&type), "8bit");
	if (!reader->is_postmaster)
		put_text(w, span_of(report->words->text));
	for (size_t i = 0; i < report->rcpt_count; i++)
		if (report_has(reader, &report->rcpts[i])) {
			put_line(w, "%s", "");
			put_notice_rcpt(w, report, &report->rcpts[i].outcome);
		}
	put_line(w, "%s", "");
	buf_done(&type);
}

/* "Name: type; value", folded. */
static void put_field(const struct writer *w, const char *name, const char *type,
		      struct span value)
{
	struct buf text = BUF_INIT(TEXT_MAX);

	(void)buf_printf(&text, "%s: %s%s%.*s", name, type, *type != '\0' ? "; " : "",
			 SPAN_ARG(value));
	put_folded(w, &text);
	buf_done(&text);
}

/* An address is never folded, and has no space that folding could eat. */
static void put_address_field(const struct writer *w, const struct report *report,
			      const char *name, struct span address)
{
	struct buf text = BUF_INIT(TEXT_MAX);

	(void)buf_printf(&text, "%s: %s; ", name, report->is_utf8 ? "utf-8" : "rfc822");
	add_quoted(&text, address);
	clean_controls(&text);
	put_line(w, "%s", buf_str(&text));
	buf_done(&text);
}

static void put_original_rcpt(const struct writer *w, const struct msg_outcome *outcome)
{
	struct buf text = BUF_INIT(TEXT_MAX);

	if (outcome->orcpt.n > 0) {
		(void)buf_add(&text, outcome->orcpt);
	} else {
		(void)buf_text(&text, "rfc822;");
		add_quoted(&text, outcome->orig_address);
	}
	clean_controls(&text);
	if (outcome->orcpt.n > 0 || outcome->orig_address.n > 0)
		put_line(w, "Original-Recipient: %s", buf_str(&text));
	buf_done(&text);
}

static const char *action_text(const struct report *report, const struct msg_outcome *outcome)
{
	/* What was put off until now is failed when the time is over. */
	if (report->kind == BOUNCE_EXPIRED)
		return dsn_action_text(DSN_FAILED);
	return dsn_action_text((enum dsn_action)outcome->action);
}

static void put_status_rcpt(const struct writer *w, const struct report *report,
			    const struct msg_outcome *outcome)
{
	char own_type[80], type[20], date[DATE_SIZE];
	struct clock_wall until = report->file->header.arrival;
	struct buf reason = BUF_INIT(TEXT_MAX);

	put_address_field(w, report, "Final-Recipient", outcome->address);
	put_original_rcpt(w, outcome);
	put_line(w, "Action: %s", action_text(report, outcome));
	put_line(w, "Status: %.*s", SPAN_ARG(outcome->status));
	if (outcome->remote_mta.n > 0)
		put_field(w, "Remote-MTA", "dns", outcome->remote_mta);
	add_reason(report, outcome, &reason);
	(void)snprintf(own_type, sizeof(own_type), "X-%s", conf->mail_name);
	(void)snprintf(type, sizeof(type), "%.*s", SPAN_ARG(outcome->diagnostic_type));
	if (outcome->diagnostic.n > 0)
		put_field(w, "Diagnostic-Code", *type != '\0' ? type : own_type,
			  outcome->diagnostic);
	else
		put_field(w, "Diagnostic-Code", own_type, buf_span(&reason));
	buf_done(&reason);
	if (report->kind == BOUNCE_WARNING) {
		until.us += (int64_t)conf->maximal_queue_lifetime * 1000000;
		(void)date_rfc5322(until, date);
		put_line(w, "Will-Retry-Until: %s", date);
	}
	put_line(w, "%s", "");
}

static void put_status(const struct writer *w, const struct report *report,
		       const struct report_reader *reader)
{
	char name[200], date[DATE_SIZE];

	start_part(w, report, "Delivery report",
		   report->is_utf8 ? "message/global-delivery-status" : "message/delivery-status",
		   report->is_utf8 ? "8bit" : NULL);
	put_line(w, "Reporting-MTA: dns; %s", conf->myhostname);
	if (report->envelope.envid.n > 0)
		put_field(w, "Original-Envelope-Id", "", report->envelope.envid);
	put_line(w, "X-%s-Queue-ID: %s", conf->mail_name, report->id);
	(void)snprintf(name, sizeof(name), "X-%s-Sender", conf->mail_name);
	put_address_field(w, report, name, span_of(report->sender));
	(void)date_rfc5322(report->file->header.arrival, date);
	put_line(w, "Arrival-Date: %s", date);
	put_line(w, "%s", "");
	for (size_t i = 0; i < report->rcpt_count; i++)
		if (report_has(reader, &report->rcpts[i]))
			put_status_rcpt(w, report, &report->rcpts[i].outcome);
}

/* The original: Return-Path, head, and the body when it is wanted. BODY_END when all is well. */
static enum body_status put_original(const struct writer *w, const struct report *report, bool has_body)
{
	bool is_returned = report->kind != BOUNCE_TRACE;
	struct buf head = BUF_INIT(HEAD_MAX), path = BUF_INIT(4096);
	struct queue_body body;
	enum body_status status = BODY_END;
	struct span block;
	char description[60];

	(void)snprintf(description, sizeof(description), "%sMessage%s",
		       is_returned ? "Undelivered " : "", has_body ? "" : " Headers");
	start_part(w, report, description,
		   has_body ? (report->is_utf8 ? "message/global" : "message/rfc822")
			    : (report->is_utf8 ? "message/global-headers" : "text/rfc822-headers"),
		   span_is_nocase(report->envelope.body_type, "7bit") ? "7bit" : "8bit");
	add_quoted(&path, span_of(report->sender));
	clean_controls(&path);
	put_line(w, "Return-Path: <%s>", buf_str(&path));
	buf_done(&path);
	/* A damaged head is left out: the sender is told all the same. */
	if (queue_read_head(report->file->fd, &report->file->header, &head))
		put_span(w, buf_span(&head));
	else if (errno != EBADMSG && errno != EFBIG)
		status = BODY_IO_ERROR;
	buf_done(&head);
	put_line(w, "%s", "");
	if (!has_body || status != BODY_END)
		return status;
	queue_body_start(&body, report->file->fd, &report->file->header);
	while ((status = queue_body_next(&body, &block)) == BODY_BLOCK)
		put_span(w, block);
	queue_body_done(&body);
	put_line(w, "%s", "");
	return status;
}

enum body_status report_body(const struct report *report, const struct report_reader *reader,
		 report_put_fn *put, void *context)
{
	struct writer w = { put, context };
	bool has_body = report->has_original && (!reader->is_postmaster || report->is_double);
	enum body_status status;

	put_notice(&w, report, reader);
	put_status(&w, report, reader);
	status = put_original(&w, report, has_body);
	if (status == BODY_END)
		put_line(&w, "--%s--", report->boundary);
	return status;
}
