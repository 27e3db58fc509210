/* SPDX-License-Identifier: MIT */
/*
 * One message over an open session: MAIL, RCPT, DATA, content, dot (RFC 5321 3.3), in one go
 * where the server takes pipelining (RFC 2920), with the parameters it offers: SIZE (RFC 1870),
 * BODY (RFC 6152), SMTPUTF8 (RFC 6531), DSN (RFC 3461).
 *
 * Never more than COMMANDS_IN_FLIGHT bytes of commands wait for their replies: they fit into the
 * socket, so that we are never stuck in writing while the server is stuck in writing replies.
 */

#include "tls.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/xtext.h"
#include "net/tcp.h"
#include "queue/envelope.h"

enum { COMMANDS_IN_FLIGHT = 8192 };

/* The commands are numbered: RSET, MAIL, one RCPT for each of `rcpts`, DATA. */
enum { STEP_RSET, STEP_MAIL, STEP_FIRST_RCPT };

struct transaction {
	struct session *session;
	struct transfer *transfer;
	size_t *rcpts; /* indices of the recipients that take part */
	size_t count;
	size_t accepted;
	size_t sent, heard; /* steps */
	size_t *sizes;      /* of each command */
	size_t in_flight;
	bool is_refused;    /* MAIL was: what else is said has no meaning */
	bool is_stale;      /* a kept session that was dead */
	bool wants_content; /* the server said 354 */
	struct buf line;
};

static size_t data_step(const struct transaction *tx)
{
	return STEP_FIRST_RCPT + tx->count;
}

static bool is_pipelining(const struct transaction *tx)
{
	return (tx->session->features & FEATURE_PIPELINING) != 0;
}

/* ---- commands ---- */

/* The address in external form; with smtp_quote_rfc821_envelope=no as it is. */
static void add_path(struct buf *out, struct span address)
{
	(void)buf_char(out, '<');
	if (conf->smtp_quote_rfc821_envelope)
		(void)addr_quote(out, address);
	else
		(void)buf_add(out, address);
	(void)buf_char(out, '>');
}

static void mail_command(struct transaction *tx)
{
	const struct delivery *delivery = tx->transfer->delivery;
	const struct msg_envelope *envelope = &delivery->envelope;
	unsigned features = tx->session->features;

	(void)buf_text(&tx->line, "MAIL FROM:");
	add_path(&tx->line, tx->transfer->sender);
	if ((features & FEATURE_SIZE) != 0)
		(void)buf_printf(&tx->line, " SIZE=%llu",
				 (unsigned long long)queue_message_size(&delivery->header));
	if ((features & FEATURE_8BITMIME) != 0) {
		if ((delivery->header.content & CONTENT_8BIT) != 0 ||
		    span_is_nocase(envelope->body_type, "8bit"))
			(void)buf_text(&tx->line, " BODY=8BITMIME");
		else if (span_is_nocase(envelope->body_type, "7bit"))
			(void)buf_text(&tx->line, " BODY=7BIT");
	}
	if ((features & FEATURE_DSN) != 0) {
		if (envelope->ret != RET_NONE)
			(void)buf_printf(&tx->line, " RET=%s",
					 envelope->ret == RET_FULL ? "FULL" : "HDRS");
		if (envelope->envid.n > 0) {
			(void)buf_text(&tx->line, " ENVID=");
			(void)xtext_encode(&tx->line, envelope->envid);
		}
	}
	if (tx->transfer->needs_utf8)
		(void)buf_text(&tx->line, " SMTPUTF8");
	if (requiretls_is_said(tx->session, tx->transfer))
		(void)buf_text(&tx->line, " REQUIRETLS");
	if (conf->smtp_send_dummy_mail_auth && tx->session->is_logged_in)
		(void)buf_text(&tx->line, " AUTH=<>");
}

static void rcpt_command(struct transaction *tx, size_t index)
{
	const struct msg_rcpt *rcpt = &tx->transfer->delivery->rcpts[index];

	(void)buf_text(&tx->line, "RCPT TO:");
	add_path(&tx->line, tx->transfer->rcpt_addresses[index]);
	if ((tx->session->features & FEATURE_DSN) == 0)
		return;
	if (rcpt->notify != 0) {
		(void)buf_text(&tx->line, " NOTIFY=");
		(void)dsn_notify_format(&tx->line, rcpt->notify);
	}
	if (rcpt->orcpt.n > 0) {
		(void)buf_text(&tx->line, " ORCPT=");
		(void)dsn_orcpt_encode(&tx->line, rcpt->orcpt);
	} else if (rcpt->orig_address.n > 0) {
		bool is_utf8 = utf8_has_8bit(rcpt->orig_address);

		(void)buf_text(&tx->line, is_utf8 ? " ORCPT=utf-8;" : " ORCPT=rfc822;");
		(void)(is_utf8 ? utf8_xtext_encode(&tx->line, rcpt->orig_address)
			       : xtext_encode(&tx->line, rcpt->orig_address));
	}
}

static void say_step(struct transaction *tx, size_t step)
{
	buf_reset(&tx->line);
	if (step == STEP_RSET)
		(void)buf_text(&tx->line, "RSET");
	else if (step == STEP_MAIL)
		mail_command(tx);
	else if (step == data_step(tx))
		(void)buf_text(&tx->line, "DATA");
	else
		rcpt_command(tx, tx->rcpts[step - STEP_FIRST_RCPT]);
	chat_trace(tx->session, '>', buf_span(&tx->line));
	(void)buf_text(&tx->line, "\r\n");
	tx->sizes[step] = buf_span(&tx->line).n;
	tx->in_flight += tx->sizes[step];
	stream_write(&tx->session->stream, buf_span(&tx->line));
}

/* ---- probes ---- */

/* smtp_address_verify_target: what decides about a probe, RCPT or the 354 behind it. */
static bool probes_data(void)
{
	return strcmp(conf->smtp_address_verify_target, "data") == 0;
}

/* The 354 of a probe. Nothing may follow it: hanging up is the only way to send no message. */
static void end_probe(struct transaction *tx)
{
	struct smtp_reply *reply = &tx->session->reply;

	(void)snprintf(reply->status, sizeof(reply->status), "2.0.0");
	for (size_t i = 0; i < tx->count; i++)
		if (tx->transfer->states[tx->rcpts[i]] == STATE_ACCEPTED)
			report_sent(tx->transfer, tx->session, tx->rcpts[i]);
	tx->session->is_broken = true;
}

/* ---- replies ---- */

static bool is_good(const struct transaction *tx)
{
	return tx->session->reply.code / 100 == 2;
}

/* A refusal of whoever sends. After a recipient was accepted "too many" is about their number. */
static void note_refusal(struct transaction *tx)
{
	tx->transfer->is_in_trouble |= relays_is_refusal(&tx->session->reply) &&
				       (tx->accepted == 0 || tx->session->reply.code == 421);
}

static void refuse_mail(struct transaction *tx)
{
	tx->is_refused = true;
	note_refusal(tx);
	why_said(&tx->transfer->why, tx->session, "MAIL FROM command");
	fail_message(tx->transfer, tx->session);
}

static void heard_rcpt(struct transaction *tx, size_t index)
{
	struct transfer *transfer = tx->transfer;

	if (is_good(tx)) {
		tx->accepted++;
		transfer->states[index] = STATE_ACCEPTED;
		if (deliver_is_probe(transfer->delivery) && !probes_data())
			report_sent(transfer, tx->session, index);
		return;
	}
	note_refusal(tx);
	why_said(&transfer->why, tx->session, "RCPT TO command");
	fail_rcpt(transfer, tx->session, index);
}

static void heard_data(struct transaction *tx)
{
	if (tx->session->reply.code == 354) {
		if (deliver_is_probe(tx->transfer->delivery))
			end_probe(tx);
		else
			tx->wants_content = true;
		return;
	}
	if (tx->is_refused || tx->accepted == 0)
		return;
	tx->transfer->is_in_trouble |= relays_is_refusal(&tx->session->reply);
	why_said(&tx->transfer->why, tx->session, "DATA command");
	fail_accepted(tx->transfer, tx->session);
}

static const char *const doing[] = { "sending RSET", "sending MAIL FROM", "sending RCPT TO",
				     "sending DATA command" };

static const char *doing_at(const struct transaction *tx, size_t step)
{
	return step < STEP_FIRST_RCPT ? doing[step] : step == data_step(tx) ? doing[3] : doing[2];
}

static int step_timeout(const struct transaction *tx, size_t step)
{
	if (step == STEP_RSET)
		return conf->smtp_rset_timeout;
	if (step == STEP_MAIL)
		return conf->smtp_mail_timeout;
	return step == data_step(tx) ? conf->smtp_data_init_timeout : conf->smtp_rcpt_timeout;
}

/* Whether the reply can be one to that command; else replies may be out of step, and none counts later. */
static bool is_in_step(const struct transaction *tx, size_t step)
{
	return tx->session->reply.code / 100 != (step == data_step(tx) ? 2 : 3);
}

/* One reply. False: there will be no more, and what that means has been said. */
static bool hear_step(struct transaction *tx)
{
	size_t step = tx->heard;
	enum chat chat = chat_listen(tx->session, step_timeout(tx, step), NULL, NULL);

	if (step == STEP_RSET && (chat != CHAT_OK || !is_good(tx))) {
		tx->is_stale = true;
		return false;
	}
	if (chat != CHAT_OK) {
		fail_chat(tx->transfer, tx->session, chat, doing_at(tx, step));
		return false;
	}
	tx->heard++;
	tx->in_flight -= tx->sizes[step];
	tx->session->is_closing |= !is_in_step(tx, step);
	if (step == data_step(tx))
		heard_data(tx);
	else if (step >= STEP_FIRST_RCPT && !tx->is_refused)
		heard_rcpt(tx, tx->rcpts[step - STEP_FIRST_RCPT]);
	else if (step == STEP_MAIL && !is_good(tx))
		refuse_mail(tx);
	return true;
}

/* Several commands; their replies may come one by one. A failure shows when the first is read. */
static void send_group(struct transaction *tx)
{
	int64_t limit_ms = (int64_t)step_timeout(tx, tx->heard) * 1000;

	stream_set_deadline(&tx->session->stream, clock_in_ms(limit_ms));
	if (stream_flush(&tx->session->stream) == IO_OK)
		tcp_acknowledge_at_once(tx->session->stream.fd);
}

static bool hear_until(struct transaction *tx, size_t in_flight)
{
	if (tx->sent - tx->heard > 1)
		send_group(tx);
	while (tx->heard < tx->sent && tx->in_flight > in_flight)
		if (!hear_step(tx))
			return false;
	return true;
}

/* Up to the reply to DATA, or to that to RCPT for most probes. False: the session is over. */
static bool exchange_envelope(struct transaction *tx)
{
	size_t end = data_step(tx) +
		     (!deliver_is_probe(tx->transfer->delivery) || probes_data());
	bool is_reset = tx->session->uses == 0 || session_wants_xforward(tx->session);

	tx->heard = tx->sent = is_reset ? STEP_MAIL : STEP_RSET;
	tx->session->uses++;
	while (tx->sent < end) {
		if (!is_pipelining(tx) &&
		    (tx->is_refused || (tx->sent == data_step(tx) && tx->accepted == 0)))
			return true;
		say_step(tx, tx->sent++);
		if (!is_pipelining(tx) ? !hear_until(tx, 0)
				       : tx->in_flight > COMMANDS_IN_FLIGHT &&
						 !hear_until(tx, COMMANDS_IN_FLIGHT / 2))
			return false;
	}
	return hear_until(tx, 0);
}

/* ---- content ---- */

static void heard_dot(struct transaction *tx, size_t index)
{
	struct transfer *transfer = tx->transfer;

	if (is_good(tx)) {
		report_sent(transfer, tx->session, index);
		return;
	}
	transfer->is_in_trouble |= relays_is_refusal(&tx->session->reply);
	why_said(&transfer->why, tx->session, "end of DATA command");
	if (is_lmtp)
		fail_rcpt(transfer, tx->session, index);
	else
		fail_accepted(transfer, tx->session);
}

/* The verdict: one for all, or with LMTP one for each accepted recipient (RFC 2033 4.2). */
static void hear_dot(struct transaction *tx)
{
	static const char what[] = "sending end of data -- message may be sent more than once";
	struct transfer *transfer = tx->transfer;
	bool is_first = true;

	for (size_t i = 0; i < tx->count; i++) {
		enum chat chat = CHAT_OK;

		if (transfer->states[tx->rcpts[i]] != STATE_ACCEPTED)
			continue;
		if (is_first || is_lmtp)
			chat = chat_listen(tx->session, conf->smtp_data_done_timeout, NULL, NULL);
		if (chat != CHAT_OK) {
			fail_chat(transfer, tx->session, chat, what);
			return;
		}
		is_first = false;
		heard_dot(tx, tx->rcpts[i]);
	}
}

/* A server that said 354 though it took no recipient, or no MAIL: RFC 2920 3.1. */
static void send_nothing(struct transaction *tx)
{
	stream_write(&tx->session->stream, SPAN(".\r\n"));
	(void)chat_listen(tx->session, conf->smtp_data_done_timeout, NULL, NULL);
}

static void exchange_content(struct transaction *tx)
{
	struct session *session = tx->session;

	if (tx->is_refused || tx->accepted == 0) {
		send_nothing(tx);
		return;
	}
	if (content_send(session, tx->transfer) != CONTENT_SENT) {
		/* Closing now is the only way to make the server forget it. */
		session->is_broken = true;
		fail_accepted(tx->transfer, session);
		return;
	}
	if (session->stream.status != IO_OK) {
		session->is_broken = true;
		fail_chat(tx->transfer, session,
			  session->stream.status == IO_TIMEOUT ? CHAT_TIMEOUT : CHAT_LOST,
			  "sending message body");
		return;
	}
	pix_delay_dot(session);
	stream_write(&session->stream, SPAN(".\r\n"));
	hear_dot(tx);
}

/* What this server cannot take at all. False: the recipients have been told. */
static bool check_offer(struct session *session, struct transfer *transfer)
{
	unsigned long long size = queue_message_size(&transfer->delivery->header);

	if ((session->features & FEATURE_SIZE) != 0 && session->size_limit > 0 &&
	    size > session->size_limit)
		why_set(&transfer->why, "5.3.4",
			"message size %llu exceeds size limit %llu of server %s", size,
			(unsigned long long)session->size_limit, session->name);
	else if (transfer->needs_utf8 && (session->features & FEATURE_SMTPUTF8) == 0)
		why_set(&transfer->why, "5.6.7",
			"SMTPUTF8 is required, but was not offered by host %s", session->name);
	else if (!requiretls_fits(session, transfer)) {
		fail_requiretls(transfer, session, "REQUIRETLS");
		return false;
	} else
		return true;
	fail_message(transfer, session);
	return false;
}

bool transaction_run(struct session *session, struct transfer *transfer)
{
	struct transaction tx = { .session = session, .transfer = transfer };
	struct delivery *delivery = transfer->delivery;

	if (!check_offer(session, transfer))
		return true;
	if (!session_xforward(session, transfer))
		return session->uses == 0;
	buf_init(&tx.line, 16384);
	tx.rcpts = arena_alloc(&delivery->arena, (transfer->left + 1) * sizeof(*tx.rcpts));
	tx.sizes = arena_alloc(&delivery->arena, (transfer->left + 3) * sizeof(*tx.sizes));
	for (size_t i = 0; i < delivery->rcpt_count; i++)
		if (transfer->states[i] == STATE_LEFT)
			tx.rcpts[tx.count++] = i;
	if (exchange_envelope(&tx) && tx.wants_content)
		exchange_content(&tx);
	if (tx.is_stale)
		session->is_broken = true;
	buf_done(&tx.line);
	return !tx.is_stale;
}
