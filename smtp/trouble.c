/* SPDX-License-Identifier: MIT */
/*
 * What failed, in words, and what follows from it for the recipients: reported, or left for the
 * next host. Server replies in here were cleaned when they were read.
 */

#include "tls.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"
#include "conf/conf.h"

enum { REASON_MAX = 4096, TLS_STATUS_MAX = 256 };

void why_init(struct why *why)
{
	*why = (struct why){ 0 };
	buf_init(&why->reason, REASON_MAX * 2);
	buf_init(&why->remote_mta, 512);
	buf_init(&why->diagnostic, REASON_MAX);
}

void why_done(struct why *why)
{
	buf_done(&why->reason);
	buf_done(&why->remote_mta);
	buf_done(&why->diagnostic);
}

static void reset(struct why *why, const char *status)
{
	(void)snprintf(why->status, sizeof(why->status), "%s", status);
	buf_reset(&why->reason);
	buf_reset(&why->remote_mta);
	buf_reset(&why->diagnostic);
}

void why_set(struct why *why, const char *status, const char *format, ...)
{
	va_list args;

	reset(why, status);
	va_start(args, format);
	(void)buf_vprintf(&why->reason, format, args);
	va_end(args);
}

/* Status of a reply that was no success. A reply of the wrong class is no verdict on the mail. */
static bool set_reply(struct why *why, const struct session *session)
{
	const struct smtp_reply *reply = &session->reply;
	bool is_failure = reply->code >= 400;

	reset(why, is_failure ? reply->status : "4.5.0");
	(void)buf_text(&why->remote_mta, session->host);
	(void)buf_add(&why->diagnostic, span_first(buf_span(&reply->text), REASON_MAX));
	return is_failure;
}

static struct span reply_text(const struct session *session)
{
	return span_first(buf_span(&session->reply.text), REASON_MAX - 512);
}

void why_said(struct why *why, const struct session *session, const char *what)
{
	bool is_failure = set_reply(why, session);

	(void)buf_printf(&why->reason, "%shost %s said: %.*s (in reply to %s)",
			 is_failure ? "" : "Protocol error: ", session->name,
			 SPAN_ARG(reply_text(session)), what);
}

void why_unauthenticated(struct why *why, const struct session *session, bool is_old)
{
	(void)set_reply(why, session);
	(void)buf_printf(&why->reason, "SASL %sauthentication failed; server %s said: %.*s",
			 is_old ? "[CACHED] " : "", session->name, SPAN_ARG(reply_text(session)));
}

void why_tls_refused(struct why *why, const struct session *session)
{
	(void)set_reply(why, session);
	/* What a server says of its TLS is no verdict on the mail. */
	dsn_soften(why->status);
	(void)buf_printf(&why->reason,
			 "TLS is required, but host %s refused to start TLS: %.*s",
			 session->name, SPAN_ARG(reply_text(session)));
}

void why_refused(struct why *why, const struct session *session)
{
	bool is_failure = set_reply(why, session);

	(void)buf_printf(&why->reason, "%shost %s refused to talk to me: %.*s",
			 is_failure ? "" : "Protocol error: ", session->name,
			 SPAN_ARG(reply_text(session)));
}

static void report(struct transfer *transfer, const struct session *session, size_t index,
		   const struct deliver_outcome *outcome)
{
	struct deliver_outcome full = *outcome;
	struct buf tls = BUF_INIT(TLS_STATUS_MAX);

	if (session != NULL) {
		full.relay = span_of(session->relay);
		full.connection_uses = session->uses;
		tls_status_describe(transfer, session, outcome->status, &tls);
		full.tls = buf_span(&tls);
	}
	deliver_report(transfer->delivery, &transfer->delivery->rcpts[index], &full);
	buf_done(&tls);
	transfer->states[index] = STATE_REPORTED;
	transfer->left--;
}

static bool is_soft(const struct transfer *transfer)
{
	return transfer->why.status[0] != '5';
}

/* Whether those who failed may be tried at another host: then only the log says it now. */
static bool may_try_next(struct transfer *transfer)
{
	if (!is_soft(transfer) || transfer->is_last_host)
		return false;
	transfer->is_put_off = true;
	log_info("%s: %s", transfer->delivery->id,
		 log_clean(buf_span(&transfer->why.reason)));
	return true;
}

static void report_failure(struct transfer *transfer, const struct session *session, size_t index)
{
	const struct why *why = &transfer->why;
	struct deliver_outcome outcome = deliver_by_status(why->status, buf_span(&why->reason));

	outcome.remote_mta = buf_span(&why->remote_mta);
	if (buf_span(&why->diagnostic).n > 0) {
		outcome.diagnostic_type = SPAN("smtp");
		outcome.diagnostic = buf_span(&why->diagnostic);
	}
	report(transfer, session, index, &outcome);
}

/* All recipients but those in state `spared`. */
static void fail_all(struct transfer *transfer, const struct session *session,
		     enum rcpt_state spared, bool is_keeping)
{
	for (size_t i = 0; i < transfer->delivery->rcpt_count; i++) {
		if (transfer->states[i] == STATE_REPORTED ||
		    transfer->states[i] == spared)
			continue;
		if (is_keeping)
			transfer->states[i] = STATE_LEFT;
		else
			report_failure(transfer, session, i);
	}
}

/* qmgr leaves the destination alone for a while. */
static void tell_qmgr(struct transfer *transfer)
{
	if (is_soft(transfer) || conf->soft_bounce)
		deliver_hop_trouble(transfer->delivery, transfer->why.status,
				    buf_span(&transfer->why.reason));
}

void fail_site(struct transfer *transfer, const struct session *session)
{
	bool is_keeping = may_try_next(transfer);

	transfer->is_in_trouble |= is_soft(transfer);
	if (!is_keeping)
		tell_qmgr(transfer);
	fail_all(transfer, session, STATE_REPORTED, is_keeping);
}

void fail_message(struct transfer *transfer, const struct session *session)
{
	fail_all(transfer, session, STATE_REPORTED, may_try_next(transfer));
}

void fail_accepted(struct transfer *transfer, const struct session *session)
{
	fail_all(transfer, session, STATE_LEFT, may_try_next(transfer));
}

void fail_requiretls(struct transfer *transfer, const struct session *session, const char *what)
{
	requiretls_refuse(transfer, "REQUIRETLS support required, but %s was not offered by host %s",
			  what, session->name);
	if (transfer->is_last_host)
		fail_all(transfer, session, STATE_REPORTED, false);
}

void fail_rest(struct transfer *transfer)
{
	/* What was said last may be about others, or about a relay that is not even there. */
	if (transfer->is_put_off)
		dsn_soften(transfer->why.status);
	tell_qmgr(transfer);
	fail_all(transfer, NULL, STATE_REPORTED, false);
}

void fail_rcpt(struct transfer *transfer, const struct session *session, size_t index)
{
	if (may_try_next(transfer))
		transfer->states[index] = STATE_LEFT;
	else
		report_failure(transfer, session, index);
}

/*
 * A connection that ends behind the handshake may have ended because of it: with TLS 1.3 a server says
 * no more than then that it wants another certificate of the client.
 */
static bool leave_for_plain(struct transfer *transfer, const struct session *session)
{
	if (session->tls == NULL || !client_tls_may_go_plain(session, transfer))
		return false;
	log_info("%s: %s", transfer->delivery->id, log_clean(buf_span(&transfer->why.reason)));
	transfer->wants_plain = true;
	fail_all(transfer, session, STATE_REPORTED, true);
	return true;
}

void fail_chat(struct transfer *transfer, const struct session *session, enum chat chat,
	       const char *doing)
{
	switch (chat) {
	case CHAT_TIMEOUT:
		why_set(&transfer->why, "4.4.2", "conversation with %s timed out while %s",
			session->name, doing);
		break;
	case CHAT_MALFORMED:
		why_set(&transfer->why, "4.5.0", "malformed reply from %s while %s: %s",
			session->name, doing, log_clean(session->reply.line_text));
		break;
	case CHAT_OK:
	case CHAT_LOST:
		why_set(&transfer->why, "4.4.2", "lost connection with %s while %s", session->name,
			doing);
		break;
	}
	(void)buf_text(&transfer->why.remote_mta, session->host);
	if (chat == CHAT_MALFORMED || !leave_for_plain(transfer, session))
		fail_site(transfer, session);
}

/* A success is ours to tell the sender about only when the server does not do it (RFC 3461 5.2.2). */
void report_sent(struct transfer *transfer, const struct session *session, size_t index)
{
	struct msg_rcpt *rcpt = &transfer->delivery->rcpts[index];
	struct deliver_outcome outcome =
		deliver_by_status(session->reply.status, buf_span(&session->reply.text));
	bool is_final = is_lmtp && conf->lmtp_assume_final;

	outcome.action = is_final ? DSN_DELIVERED : DSN_RELAYED;
	outcome.remote_mta = span_of(session->host);
	outcome.diagnostic_type = SPAN("smtp");
	outcome.diagnostic = span_first(buf_span(&session->reply.text), REASON_MAX);
	if ((session->features & FEATURE_DSN) != 0 && !is_final)
		rcpt->notify &= ~(unsigned)DSN_NOTIFY_SUCCESS;
	transfer->has_taken = true;
	report(transfer, session, index, &outcome);
}
