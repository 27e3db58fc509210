/* SPDX-License-Identifier: MIT */
/*
 * Transcripts for the postmaster; see notice.h. The mail is handed to cleanup like any other,
 * from double_bounce_sender, so that it can cause no notice of its own. Sessions without trouble
 * cost the copying of their lines, and none of that when nothing is to be told.
 */

#include "smtpd/notice.h"

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/submit.h"
#include "smtpd/session.h"

/* A transcript ends with a remark when it has got this long. */
enum { TRANSCRIPT_BYTES = 48 * 1024, LINE_BYTES = 1000 };

static unsigned wanted;

void notice_open(void)
{
	static const struct {
		const char *word;
		unsigned class;
	} words[] = {
		{ "policy", NOTICE_POLICY },     { "protocol", NOTICE_PROTOCOL },
		{ "data", NOTICE_DATA },         { "resource", NOTICE_RESOURCE },
		{ "software", NOTICE_SOFTWARE },
	};
	struct span rest = span_of(conf->notify_classes), word;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0)
		for (size_t i = 0; i < ARRAY_LEN(words); i++)
			if (span_is_nocase(word, words[i].word))
				wanted |= words[i].class;
}

void notice_begin(struct session *s)
{
	s->troubles = 0;
	s->is_transcript_cut = false;
	s->transcript_lines = 0;
	buf_init(&s->transcript, TRANSCRIPT_BYTES);
}

void notice_line(struct session *s, const char *direction, struct span line)
{
	if (log_verbosity() > 0)
		log_debug("%c %s: %s", *direction == 'I' ? '<' : '>', client_text(s),
			  log_clean(span_first(line, LINE_BYTES)));
	if (wanted == 0)
		return;
	s->transcript_lines++;
	if (s->is_transcript_cut)
		return;
	s->is_transcript_cut = !buf_printf(&s->transcript, " %-3s: %s\r\n", direction,
					   log_clean(span_first(line, LINE_BYTES)));
}

static void write_notice(const struct session *s, struct buf *out)
{
	(void)buf_printf(out,
			 "From: Mail Delivery System <MAILER-DAEMON>\r\n"
			 "To: Postmaster <%s>\r\n"
			 "Subject: %s SMTP server: errors from %s\r\n"
			 "Auto-Submitted: auto-generated\r\n"
			 "\r\n"
			 "Transcript of session follows.\r\n"
			 "\r\n",
			 conf->error_notice_recipient, conf->mail_name, client_text(s));
	(void)buf_add(out, buf_span(&s->transcript));
	if (s->is_transcript_cut)
		(void)buf_text(out, " ... and more\r\n");
	(void)buf_text(out, "\r\n"
			    "For other details, see the log of the mail system\r\n");
}

static bool submit(struct ipc_channel *cleanup, struct span text, struct clock_mono deadline)
{
	struct msg_envelope envelope = { .sender = span_of(conf->double_bounce_sender),
					 .rewrite_context = SPAN("local") };
	struct msg_rcpt rcpt = { .address = span_of(conf->error_notice_recipient) };
	struct submit_start start = { .envelope = &envelope, .rcpt = &rcpt,
				      .options = SUBMIT_NO_HEADER_BODY_CHECKS };
	struct msg_submit_done done;

	return submit_open(cleanup, &start, deadline) &&
	       submit_bytes(cleanup, text, true, deadline) &&
	       submit_answer(cleanup, &done, deadline) == IPC_OK &&
	       done.result == SUBMIT_OK;
}

void notice_flush(struct session *s)
{
	if (s->transcript_lines <= conf->smtpd_history_flush_threshold)
		return;
	notice_end(s);
	notice_begin(s);
}

void notice_end(struct session *s)
{
	if ((s->troubles & wanted) != 0) {
		struct clock_mono deadline = clock_in_ms((int64_t)conf->ipc_timeout * 1000);
		struct buf text = BUF_INIT(TRANSCRIPT_BYTES + 4096);
		struct ipc_channel cleanup;
		char queue_id[32] = "";

		ipc_attach(&cleanup, -1);
		write_notice(s, &text);
		if (!submit_connect(&cleanup, conf->cleanup_service_name, queue_id) ||
		    !submit(&cleanup, buf_span(&text), deadline))
			log_warn("%s: could not tell the postmaster about a session with %s",
				 *queue_id != '\0' ? queue_id : "NOQUEUE", client_text(s));
		ipc_close(&cleanup);
		buf_done(&text);
	}
	buf_done(&s->transcript);
}
