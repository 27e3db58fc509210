/* SPDX-License-Identifier: MIT */
/*
 * Handing a message to cleanup, and answering the client with what cleanup made of it. 250
 * goes out only after cleanup said that the message is durable. See lib/ipc/submit.h.
 */

#include "ipc/submit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "queue/envelope.h"
#include "smtpd/auth.h"
#include "smtpd/authors.h"
#include "smtpd/check.h"
#include "smtpd/tls.h"

/* A message's content goes over in pieces of about this size. */
enum { PIECE_BYTES = 60 * 1024, RCPTS_BYTES = 90 * 1024, RECEIVED_TLS_BYTES = 512 };

static struct clock_mono ipc_deadline(void)
{
	return clock_in_ms((int64_t)conf->ipc_timeout * 1000);
}

bool submit_begin(struct session *s)
{
	if (submit_connect(&s->cleanup, conf->cleanup_service_name, s->queue_id))
		return true;
	log_warn("%s: cannot reach the %s service: %s", client_text(s), conf->cleanup_service_name,
		 strerror(errno));
	return false;
}

/* The message cannot be taken; its content is read and dropped, and then this is the answer. */
static void break_message(struct session *s, const char *text)
{
	if (s->mail.is_broken)
		return;
	s->mail.is_broken = true;
	(void)buf_text(&s->mail.failure, text);
	ipc_close(&s->cleanup);
	s->queue_id[0] = '\0';
	s->has_envelope = false;
}

static void lost_cleanup(struct session *s)
{
	log_warn("%s: lost the connection to the %s service",
		 s->mail.was_logged ? s->queue_id : "NOQUEUE", conf->cleanup_service_name);
	s->troubles |= NOTICE_RESOURCE;
	break_message(s, "451 4.3.0 Error: queue file write error");
}

static uint32_t flags(const struct session *s)
{
	const struct transaction *mail = &s->mail;

	return (mail->mail.is_smtputf8 ? (uint32_t)ENVELOPE_SMTPUTF8 : 0) |
	       (mail->mail.is_requiretls ? (uint32_t)ENVELOPE_REQUIRETLS : 0) |
	       (mail->mail.has_xverp ? (uint32_t)ENVELOPE_VERP : 0) |
	       (conf->smtpd_sasl_authenticated_header ? (uint32_t)ENVELOPE_SHOW_LOGIN : 0) |
	       (mail->actions.must_hold ? (uint32_t)ENVELOPE_HOLD : 0) |
	       (mail->actions.must_discard ? (uint32_t)ENVELOPE_DISCARD : 0);
}

static const char *body_type(enum smtp_body body)
{
	switch (body) {
	case SMTP_BODY_UNSET:
	case SMTP_BODY_BINARYMIME: return "";
	case SMTP_BODY_7BIT: return "7bit";
	case SMTP_BODY_8BITMIME: return "8bit";
	}
	return "";
}

/* As Received: has it: RFC 3848. */
static struct span protocol(const struct session *s)
{
	static const char *const kinds[2][2] = { { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } };

	if (s->protocol == NULL || !s->is_esmtp)
		return SPAN("SMTP");
	return span_of(kinds[s->tls != NULL][s->login.length > 0]);
}

/*
 * Whether addresses in headers are completed with our domain: local_header_rewrite_clients.
 * The client may have logged in by now.
 */
static bool is_rewrite_client(struct session *s)
{
	struct check check = { .session = s, .stage = STAGE_CLIENT, .verb = "CONNECT" };

	return restrictions_run(&check, tables.rewrite_clients) == CHECK_PERMIT;
}

static struct msg_envelope make_envelope(struct session *s, struct buf *received_tls)
{
	const struct transaction *mail = &s->mail;
	const struct peer *peer = &s->peer;
	struct span filter = buf_span(&mail->actions.content_filter);

	return (struct msg_envelope){
		.sender = mail->mail.sender,
		.rewrite_context = is_rewrite_client(s) ? SPAN("local") : SPAN("remote"),
		.flags = flags(s),
		.ret = (uint32_t)mail->mail.ret,
		.envid = mail->mail.envid,
		.body_type = span_of(body_type(mail->mail.body)),
		.log_client_name = span_of(peer->name),
		.log_client_addr = span_of(peer->addr),
		.log_client_port = span_of(peer->port),
		.log_helo = buf_span(&s->helo),
		.log_protocol = span_of(s->protocol != NULL ? s->protocol : "SMTP"),
		.client_name = span_of(peer->name),
		.client_reverse_name = span_of(peer->reverse_name),
		.client_addr = span_of(peer->addr),
		.client_port = span_of(peer->port),
		.helo = buf_span(&s->helo),
		.protocol = protocol(s),
		.sasl_method = span_of(s->login.length > 0 ? s->login_method : ""),
		.sasl_username = auth_user(s),
		.sasl_sender = s->login.length > 0 ? mail->mail.auth : SPAN(""),
		.received_tls = buf_span(received_tls),
		.server_addr = span_of(peer->server_addr),
		.server_port = span_of(peer->server_port),
		.content_filter = filter.n > 0 ? filter : span_of(conf->content_filter),
		.redirect_to = buf_span(&mail->actions.redirect_to),
		.verp_delims = mail->mail.xverp,
	};
}

static bool send_rcpts(struct session *s, const struct buf *rcpts)
{
	struct msg_submit_rcpts message = { .rcpts = buf_span(rcpts) };

	return rcpts->length == 0 ||
	       IPC_SEND(&s->cleanup, submit_rcpts, &message, -1, ipc_deadline()) == IPC_OK;
}

/* Recipients in packets: the client's, then those that tables added with BCC. */
static bool send_all_rcpts(struct session *s)
{
	const struct transaction *mail = &s->mail;
	size_t count = mail->rcpt_count + mail->actions.bcc_count;
	struct buf packet = BUF_INIT(IPC_RECORD_MAX);
	bool is_sent = true;

	for (size_t i = 0; is_sent && i < count; i++) {
		bool is_bcc = i >= mail->rcpt_count;
		struct msg_rcpt rcpt = { .notify = DSN_NOTIFY_NEVER };

		if (is_bcc)
			rcpt.address = mail->actions.bcc[i - mail->rcpt_count];
		else
			rcpt = (struct msg_rcpt){ .address = mail->rcpts[i].address,
						  .orcpt = mail->rcpts[i].orcpt,
						  .notify = mail->rcpts[i].notify };
		is_sent = msg_rcpt_encode(&packet, &rcpt);
		if (is_sent && (packet.length > RCPTS_BYTES || i + 1 == count)) {
			is_sent = send_rcpts(s, &packet);
			buf_reset(&packet);
		}
	}
	buf_done(&packet);
	return is_sent;
}

/* False when it does not fit; a lost connection is noted by itself. */
static bool send_envelope(struct session *s)
{
	struct buf received_tls = BUF_INIT(RECEIVED_TLS_BYTES);
	struct msg_envelope envelope;
	struct buf record = BUF_INIT(IPC_RECORD_MAX);
	struct msg_submit_open open = { .options = submit_options() | authors_option(s),
					.size_hint = s->mail.mail.size_bytes };
	bool is_encoded;

	session_tls_received(s, &received_tls);
	envelope = make_envelope(s, &received_tls);
	is_encoded = msg_envelope_encode(&record, &envelope);
	buf_done(&received_tls);
	s->has_envelope = true;
	open.envelope = buf_span(&record);
	if (is_encoded &&
	    (IPC_SEND(&s->cleanup, submit_open, &open, -1, ipc_deadline()) != IPC_OK ||
	     !send_all_rcpts(s)))
		lost_cleanup(s);
	buf_done(&record);
	return is_encoded;
}

void submit_envelope(struct session *s)
{
	/* It goes out with the first content, so that cleanup wakes up once for both. */
	if (s->mail.actions.prepended.length > 0)
		submit_content(s, buf_span(&s->mail.actions.prepended));
}

static void send_data(struct session *s, bool is_last)
{
	struct msg_submit_data data = { .bytes = buf_span(&s->content), .is_last = is_last };

	if (!s->mail.is_broken && !s->has_envelope && !send_envelope(s))
		break_message(s, "451 4.3.0 Error: queue file write error");
	if (!s->mail.is_broken &&
	    IPC_SEND(&s->cleanup, submit_data, &data, -1, ipc_deadline()) != IPC_OK)
		lost_cleanup(s);
	buf_reset(&s->content);
}

void submit_content(struct session *s, struct span bytes)
{
	uint64_t limit = (uint64_t)conf->message_size_limit;

	if (limit > 0 && s->mail.content_bytes > limit && !s->mail.is_broken) {
		log_info("%s: reject: message from %s exceeds message_size_limit", s->queue_id,
			 client_text(s));
		break_message(s, "552 5.3.4 Error: message file too big");
	}
	while (bytes.n > 0 && !s->mail.is_broken) {
		struct span part = span_first(bytes, PIECE_BYTES - s->content.length);

		(void)buf_add(&s->content, part);
		bytes = span_from(bytes, part.n);
		if (s->content.length >= PIECE_BYTES)
			send_data(s, false);
	}
}

/* The reply to the end of data, by cleanup's verdict. */
static void answer(struct session *s, const struct msg_submit_done *done)
{
	const char *status = log_clean(done->status), *reason = log_clean(done->reason);
	bool has_reason = done->reason.n > 0;

	switch ((enum submit_result)done->result) {
	case SUBMIT_OK:
	case SUBMIT_DISCARD:
		reply(s, "250 2.0.0 Ok: queued as %s", s->queue_id);
		/* Who brings mail may err anew: smtpd(8), smtpd_hard_error_limit. */
		s->errors = s->junk = 0;
		return;
	case SUBMIT_REJECT:
		reply(s, "%s %s %s", done->status.n > 0 && done->status.p[0] == '4' ? "450" : "550",
		      done->status.n > 0 ? status : "5.7.1",
		      has_reason ? reason : "message content rejected");
		return;
	case SUBMIT_DEFER:
		/* RFC 5321 4.2.2: "insufficient system storage" has a code of its own. */
		reply_logged(s, span_is(done->status, "4.3.1") ? "452 %s %s" : "451 %s %s",
			     done->status.n > 0 ? status : "4.3.0",
			     has_reason ? reason : "Error: queue file write error");
		return;
	case SUBMIT_TOO_BIG: reply(s, "552 5.3.4 Error: message file too big"); return;
	case SUBMIT_LOOP: reply(s, "554 5.4.0 Error: too many hops"); return;
	}
	reply_logged(s, "451 4.3.0 Error: internal error");
}

/*
 * cleanup asks whether the message may be from whom it says. False when it may not: the answer is in
 * s->reply, and cleanup forgets the message.
 */
static bool settle_authors(struct session *s)
{
	struct msg_submit_authors authors;
	struct msg_submit_consent consent = { 0 };

	if (!IPC_GET(&s->cleanup, submit_authors, &authors)) {
		lost_cleanup(s);
		return true;
	}
	if (!check_authors(s, &authors, &consent)) {
		submit_abandon(s);
		return false;
	}
	if (IPC_SEND(&s->cleanup, submit_consent, &consent, -1, ipc_deadline()) != IPC_OK ||
	    submit_hear(&s->cleanup, ipc_deadline()) != IPC_OK)
		lost_cleanup(s);
	return true;
}

void submit_finish(struct session *s)
{
	struct msg_submit_done done;

	send_data(s, true);
	if (!s->mail.is_broken && submit_hear(&s->cleanup, ipc_deadline()) != IPC_OK)
		lost_cleanup(s);
	if (!s->mail.is_broken && authors_option(s) != 0 &&
	    strcmp(ipc_name(buf_span(&s->cleanup.in)), "submit_authors") == 0 && !settle_authors(s)) {
		reply(s, "%s", buf_str(&s->reply));
		return;
	}
	if (!s->mail.is_broken && !IPC_GET(&s->cleanup, submit_done, &done))
		lost_cleanup(s);
	if (s->mail.is_broken) {
		reply(s, "%s", buf_str(&s->mail.failure));
		return;
	}
	answer(s, &done);
	(void)snprintf(s->queue_id, sizeof(s->queue_id), "%.*s", SPAN_ARG(done.next_queue_id));
	s->has_envelope = false;
}

void submit_abandon(struct session *s)
{
	buf_reset(&s->content);
	if (!s->has_envelope)
		return;
	/* A connection that closes in the middle has submitted nothing. */
	ipc_close(&s->cleanup);
	s->queue_id[0] = '\0';
	s->has_envelope = false;
}
