/* SPDX-License-Identifier: MIT */
/*
 * The beginning and the end of a session (RFC 5321 3.1, 4.1.1.1; RFC 2033 for LMTP; Postfix's
 * XFORWARD_README). All that the server says is untrusted.
 */

#include "tls.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/words.h"
#include "conf/conf.h"
#include "mail/xtext.h"
#include "table/maps.h"

enum { XFORWARD_LINE_MAX = 512 };

static const struct {
	const char *word;
	unsigned feature;
} keywords[] = {
	{ "PIPELINING", FEATURE_PIPELINING }, { "8BITMIME", FEATURE_8BITMIME },
	{ "DSN", FEATURE_DSN },		      { "SMTPUTF8", FEATURE_SMTPUTF8 },
	{ "SIZE", FEATURE_SIZE },	      { "STARTTLS", FEATURE_STARTTLS },
	{ "REQUIRETLS", FEATURE_REQUIRETLS },
};

static const struct {
	const char *name;
	unsigned feature;
} attributes[] = {
	{ "NAME", FEATURE_XFORWARD_NAME },   { "ADDR", FEATURE_XFORWARD_ADDR },
	{ "PORT", FEATURE_XFORWARD_PORT },   { "PROTO", FEATURE_XFORWARD_PROTO },
	{ "HELO", FEATURE_XFORWARD_HELO },   { "IDENT", FEATURE_XFORWARD_IDENT },
	{ "SOURCE", FEATURE_XFORWARD_SOURCE },
};

/* While the EHLO reply comes in. */
struct hello {
	struct session *session;
	struct span discard; /* smtp_discard_ehlo_keywords for this server */
	bool is_own_name;    /* the server has our name: it is us */
};

void session_set_names(struct session *session, const struct target *target,
		       const struct host *host)
{
	char text[IP_TEXT_MAX];

	buf_init(&session->target, 4096);
	(void)buf_add(&session->target, target->text);
	if (target->is_unix) {
		(void)snprintf(session->host, sizeof(session->host), "%s", conf->myhostname);
		(void)snprintf(session->name, sizeof(session->name), "%s[%.*s]", session->host,
			       SPAN_ARG(target->host));
		(void)snprintf(session->relay, sizeof(session->relay), "%s", session->name);
		session->port = 0;
		return;
	}
	(void)snprintf(session->host, sizeof(session->host), "%.*s", SPAN_ARG(host->name));
	(void)snprintf(session->name, sizeof(session->name), "%s[%s]", session->host,
		       ip_text(&host->addr, text).p);
	(void)snprintf(session->relay, sizeof(session->relay), "%s:%u", session->name, host->port);
	session->port = host->port;
}

/* What is in brackets in "host[address]". */
struct span session_address(const struct session *session)
{
	struct span name = span_of(session->name);
	size_t at = 0;

	(void)span_rchr(name, '[', &at);
	name = span_from(name, at + 1);
	return span_first(name, name.n > 0 ? name.n - 1 : 0);
}

/* ---- EHLO ---- */

static struct span discarded_keywords(const struct session *session)
{
	struct span value;

	if (maps_find(tables.discard_ehlo, NULL, session_address(session), false, &value) ==
	    TABLE_FOUND)
		return value;
	return span_of(conf->smtp_discard_ehlo_keywords);
}

/* "XFORWARD NAME ADDR ..." */
static void take_xforward(struct session *session, struct span words)
{
	struct span word;

	while ((word = span_word(&words, " ")).n > 0)
		for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
			if (span_is_nocase(word, attributes[i].name))
				session->features |= attributes[i].feature;
}

static void on_hello_line(void *context, struct span line, bool is_first)
{
	struct hello *hello = context;
	struct session *session = hello->session;
	struct span word = span_word(&line, " \t=");

	if (is_first) {
		(void)snprintf(session->helo, sizeof(session->helo), "%s", log_clean(word));
		hello->is_own_name = span_is_nocase(word, conf->myhostname);
		return;
	}
	if (words_have(hello->discard, word))
		return;
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
		if (span_is_nocase(word, keywords[i].word))
			session->features |= keywords[i].feature;
	if (span_is_nocase(word, "SIZE") &&
	    !span_u64(span_word(&line, " \t"), INT64_MAX, &session->size_limit))
		session->size_limit = 0;
	if (span_is_nocase(word, "AUTH"))
		auth_take_offer(session, line);
	if (span_is_nocase(word, "XFORWARD"))
		take_xforward(session, line);
}

/* Says EHLO, LHLO or HELO. False: the connection is of no use, and trouble.c was told. */
static bool say_hello(struct session *session, struct transfer *transfer, const char *verb,
		      struct hello *hello)
{
	char doing[64];
	enum chat chat;

	session->features = 0;
	session->auth_offer.count = 0;
	session->size_limit = 0;
	chat_say(session, "%s %s", verb, conf->smtp_helo_name);
	chat = chat_listen(session, conf->smtp_helo_timeout,
			   strcmp(verb, "HELO") == 0 ? NULL : on_hello_line, hello);
	if (chat == CHAT_OK)
		return true;
	(void)snprintf(doing, sizeof(doing), "performing the %s handshake", verb);
	fail_chat(transfer, session, chat, doing);
	return false;
}

/* "discarding EHLO keywords: PIPELINING DSN", unless silent-discard is among them. */
static void log_discarded(struct span list)
{
	struct buf names = BUF_INIT(4096);
	struct span word;

	if (words_have(list, SPAN("silent-discard")))
		return;
	while ((word = span_word(&list, WORDS_BLANK_OR_COMMA)).n > 0) {
		(void)buf_char(&names, ' ');
		for (size_t i = 0; i < word.n; i++)
			(void)buf_char(&names, ascii_upper(word.p[i]));
	}
	if (buf_span(&names).n > 0)
		log_info("discarding EHLO keywords:%s", log_clean(buf_span(&names)));
	buf_done(&names);
}

static bool is_good(const struct session *session)
{
	return session->reply.code / 100 == 2;
}

/* Where TLS is a must, what is said in clear text may be anybody's: it returns no mail. */
static void doubt(const struct session *session, struct transfer *transfer)
{
	if (session->needs_tls && session->tls == NULL)
		dsn_soften(transfer->why.status);
}

/* EHLO, LHLO or HELO, and what the server makes of it. */
static bool greet(struct session *session, struct transfer *transfer, bool wants_ehlo)
{
	struct hello hello = { .session = session, .discard = discarded_keywords(session) };
	bool is_greeted = false;

	if (is_lmtp || wants_ehlo) {
		log_discarded(hello.discard);
		if (!say_hello(session, transfer, is_lmtp ? "LHLO" : "EHLO", &hello))
			return false;
		is_greeted = is_good(session);
		if (is_greeted)
			session->features |= FEATURE_ESMTP;
	}
	/* RFC 5321 3.2: a server that does not know EHLO gets HELO; one that goes away does not. */
	if (!is_greeted && !is_lmtp && !session->is_closing) {
		if (!say_hello(session, transfer, "HELO", &hello))
			return false;
		is_greeted = is_good(session);
	}
	if (!is_greeted) {
		why_refused(&transfer->why, session);
		doubt(session, transfer);
		fail_site(transfer, session);
		return false;
	}
	if (hello.is_own_name && !is_lmtp && span_ends(span_of(session->relay), SPAN(":25"))) {
		log_warn("host %s replied to HELO/EHLO with my own hostname %s", session->relay,
			 conf->myhostname);
		why_set(&transfer->why, session->is_best_mx ? "5.4.6" : "4.4.6",
			"mail for %.*s loops back to myself", SPAN_ARG(buf_span(&session->target)));
		doubt(session, transfer);
		fail_site(transfer, session);
		return false;
	}
	return true;
}

/* ---- TLS ---- */

/* No TLS on this connection: goes on in clear text, if it may. */
static enum start go_without(struct session *session, struct transfer *transfer,
			     const struct policy *policy)
{
	if ((session->features & FEATURE_STARTTLS) == 0) {
		sts_note(policy, session->relay, "STARTTLS is not offered");
		report_session(session, policy, TLSRPT_STARTTLS_NOT_SUPPORTED, "not offered");
	}
	if (policy->level < LEVEL_ENCRYPT)
		return START_WELL;
	tls_status_miss(session, LEVEL_NONE);
	if ((session->features & FEATURE_STARTTLS) == 0 &&
	    transfer->requiretls >= REQUIRETLS_ENCRYPTED) {
		fail_requiretls(transfer, session, "TLS");
		return START_FAILED;
	}
	if ((session->features & FEATURE_STARTTLS) == 0)
		why_set(&transfer->why, "4.7.4",
			"TLS is required, but was not offered by host %s", session->name);
	else
		why_set(&transfer->why, "4.7.5",
			"TLS is required, but our TLS engine is unavailable");
	sts_explain(transfer, policy);
	fail_site(transfer, session);
	return START_FAILED;
}

static enum start start_tls(struct session *session, struct transfer *transfer,
			    const struct policy *policy)
{
	switch (client_tls_start(session, transfer, policy)) {
	case CLIENT_TLS_ON: return START_WELL;
	case CLIENT_TLS_PLAIN: return START_PLAIN;
	case CLIENT_TLS_FAILED: break;
	}
	return START_FAILED;
}

/* Wrapper mode: TLS from the first byte on. */
static enum start start_wrapped(struct session *session, struct transfer *transfer,
				const struct policy *policy)
{
	if (client_tls_is_ready())
		return start_tls(session, transfer, policy);
	session->is_broken = true;
	session->features = FEATURE_STARTTLS;
	return go_without(session, transfer, policy);
}

/* The reply to STARTTLS was not 2xx. */
static enum start go_on_refused(struct session *session, struct transfer *transfer,
				const struct policy *policy)
{
	sts_note(policy, session->relay, "STARTTLS is refused");
	report_session(session, policy, TLSRPT_STARTTLS_NOT_SUPPORTED, "refused");
	if (policy->level < LEVEL_ENCRYPT && !session->is_closing)
		return START_WELL;
	if (policy->level < LEVEL_ENCRYPT)
		why_refused(&transfer->why, session);
	else
		why_tls_refused(&transfer->why, session);
	if (policy->level >= LEVEL_ENCRYPT)
		tls_status_miss(session, LEVEL_NONE);
	sts_explain(transfer, policy);
	fail_site(transfer, session);
	return START_FAILED;
}

/* STARTTLS (RFC 3207) as the policy has it, and EHLO again: what was said before counts no more. */
static enum start secure(struct session *session, struct transfer *transfer,
			 const struct policy *policy)
{
	bool is_offered = (session->features & FEATURE_STARTTLS) != 0;
	enum start start;
	enum chat chat;

	if (session->tls != NULL)
		return START_WELL;
	if (is_offered && policy->level == LEVEL_NONE && conf->smtp_tls_note_starttls_offer)
		log_info("Host offered STARTTLS: [%s]", session->host);
	if (policy->level == LEVEL_NONE || !is_offered || !client_tls_is_ready())
		return go_without(session, transfer, policy);
	chat_say(session, "STARTTLS");
	chat = chat_listen(session, conf->smtp_starttls_timeout, NULL, NULL);
	if (chat != CHAT_OK) {
		fail_chat(transfer, session, chat, "sending the STARTTLS command");
		return START_FAILED;
	}
	if (!is_good(session))
		return go_on_refused(session, transfer, policy);
	start = start_tls(session, transfer, policy);
	if (start == START_WELL && !greet(session, transfer, true))
		start = START_FAILED;
	return start;
}

/*
 * Behind the reply to EHLO there is one more: to MAIL, which we have not sent. Somebody may have put commands in
 * front of ours while TLS began (CVE-2009-3555).
 */
static bool has_early_reply(struct session *session, struct transfer *transfer)
{
	if (session->tls == NULL || !conf->smtp_tls_block_early_mail_reply ||
	    !stream_has_input(&session->stream))
		return false;
	log_warn("server %s violates %s_tls_block_early_mail_reply policy", session->relay,
		 is_lmtp ? "lmtp" : "smtp");
	session->is_broken = true;
	why_set(&transfer->why, "4.7.0", "unexpected server message");
	fail_site(transfer, session);
	return true;
}

/* ---- greeting ---- */

static void on_greeting_line(void *context, struct span line, bool is_first)
{
	bool *says_esmtp = context;

	(void)is_first;
	while (line.n > 0)
		if (span_is_nocase(span_word(&line, " \t"), "ESMTP"))
			*says_esmtp = true;
}

static bool take_greeting(struct session *session, struct transfer *transfer, bool *says_esmtp)
{
	enum chat chat = chat_listen(session, conf->smtp_helo_timeout, on_greeting_line, says_esmtp);

	if (chat != CHAT_OK) {
		fail_chat(transfer, session, chat, "receiving the initial server greeting");
		return false;
	}
	if (is_good(session))
		return true;
	why_refused(&transfer->why, session);
	/* A server that wants nobody now may be one of several. */
	if (conf->smtp_skip_5xx_greeting)
		dsn_soften(transfer->why.status);
	doubt(session, transfer);
	fail_site(transfer, session);
	return false;
}

/* From the greeting to the last EHLO. */
static enum start negotiate(struct session *session, struct transfer *transfer,
			    const struct policy *policy)
{
	bool says_esmtp = false, no_esmtp, wants_ehlo;
	enum start start = conf->smtp_tls_wrappermode ? start_wrapped(session, transfer, policy)
						      : START_WELL;

	if (start != START_WELL)
		return start;
	if (!take_greeting(session, transfer, &says_esmtp))
		return START_FAILED;
	pix_detect(session, transfer, &no_esmtp);
	wants_ehlo = !no_esmtp && !conf->smtp_never_send_ehlo &&
		     (says_esmtp || conf->smtp_always_send_ehlo);
	if (!greet(session, transfer, wants_ehlo))
		return START_FAILED;
	start = secure(session, transfer, policy);
	if (start == START_WELL && has_early_reply(session, transfer))
		start = START_FAILED;
	return start;
}

enum start session_start(struct session *session, struct transfer *transfer,
			 const struct policy *policy, int fd)
{
	enum start start;

	stream_reopen(&session->stream, fd);
	smtp_reply_init(&session->reply);
	session->is_open = true;
	session->is_broken = session->is_closing = session->is_logged_in = false;
	session->is_verified = false;
	session->helo[0] = '\0';
	session->needs_tls = policy->level >= LEVEL_ENCRYPT;
	session->is_tls_a_wish = policy->level == LEVEL_MAY;
	session->tls = NULL;
	tls_status_begin(session, policy);
	session->may_be_reused = policy->may_reuse;
	session->is_plain_fallback = policy->level == LEVEL_NONE && policy->wanted > LEVEL_NONE;
	session->is_tls_optional = transfer->is_tls_optional;
	buf_init(&session->tls_key, 4096);
	session->uses = 0;
	session->opened = clock_mono_now();
	start = negotiate(session, transfer, policy);
	if (start == START_WELL)
		tls_status_reach(session, session->tls != NULL ? policy->level : LEVEL_NONE);
	if (start == START_WELL && !auth_log_in(session, transfer))
		start = START_FAILED;
	if (start != START_WELL)
		session_end(session);
	return start;
}

/* ---- XFORWARD ---- */

static bool send_xforward(struct session *session, struct transfer *transfer, struct buf *line)
{
	enum chat chat;

	chat_say(session, "XFORWARD%s", buf_str(line));
	buf_reset(line);
	chat = chat_listen(session, conf->smtp_xforward_timeout, NULL, NULL);
	if (chat != CHAT_OK) {
		if (session->uses == 0)
			fail_chat(transfer, session, chat, "sending XFORWARD command");
		return false;
	}
	if (!is_good(session))
		log_warn("host %s said: %s (in reply to XFORWARD command)", session->relay,
			 log_clean(buf_span(&session->reply.text)));
	return true;
}

bool session_wants_xforward(const struct session *session)
{
	unsigned offered = 0;

	for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
		offered |= session->features & attributes[i].feature;
	return conf->smtp_send_xforward_command && offered != 0;
}

/* In a transaction, which the message before may have left open, no server takes attributes. */
static bool end_transaction(struct session *session)
{
	chat_say(session, "RSET");
	if (chat_listen(session, conf->smtp_rset_timeout, NULL, NULL) == CHAT_OK && is_good(session))
		return true;
	session->is_broken = true;
	return false;
}

bool session_xforward(struct session *session, struct transfer *transfer)
{
	const struct msg_envelope *envelope = &transfer->delivery->envelope;
	const struct span values[] = {
		envelope->log_client_name, envelope->log_client_addr, envelope->log_client_port,
		envelope->log_protocol,	   envelope->log_helo,
		envelope->log_ident.n > 0 ? envelope->log_ident : span_of(transfer->delivery->id),
		span_is(envelope->rewrite_context, "local") ? SPAN("LOCAL") : SPAN("REMOTE"),
	};
	struct buf line = BUF_INIT(XFORWARD_LINE_MAX), pair = BUF_INIT(XFORWARD_LINE_MAX);
	bool is_well = true;

	if (!session_wants_xforward(session))
		return true;
	if (session->uses > 0 && !end_transaction(session))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(attributes) && is_well; i++) {
		if ((session->features & attributes[i].feature) == 0)
			continue;
		buf_reset(&pair);
		(void)buf_printf(&pair, " %s=", attributes[i].name);
		if (values[i].n == 0)
			(void)buf_text(&pair, "[UNAVAILABLE]");
		else
			(void)xtext_encode(&pair, span_first(values[i], 160));
		if (buf_span(&line).n + buf_span(&pair).n > XFORWARD_LINE_MAX - 16)
			is_well = send_xforward(session, transfer, &line);
		(void)buf_add(&line, buf_span(&pair));
	}
	if (is_well && buf_span(&line).n > 0)
		is_well = send_xforward(session, transfer, &line);
	buf_done(&line);
	buf_done(&pair);
	return is_well;
}

/* ---- the end ---- */

void session_end(struct session *session)
{
	if (!session->is_open)
		return;
	if (!session->is_broken) {
		chat_say(session, "QUIT");
		stream_set_deadline(&session->stream,
				    clock_in_ms((int64_t)conf->smtp_quit_timeout * 1000));
		if (conf->smtp_skip_quit_response)
			(void)stream_flush(&session->stream);
		else
			(void)chat_listen(session, conf->smtp_quit_timeout, NULL, NULL);
	}
	client_tls_save(session);
	stream_hangup(&session->stream);
	session->tls = NULL;
	smtp_reply_done(&session->reply);
	buf_done(&session->tls_key);
	buf_done(&session->policy);
	buf_done(&session->target);
	session->is_open = false;
}

bool session_may_stay(const struct session *session)
{
	int64_t limit_ms = (int64_t)conf->smtp_connection_reuse_time_limit * 1000;
	int count_limit = conf->smtp_connection_reuse_count_limit;

	/* The next message may have a sender with a login of his own. */
	if (conf->smtp_sasl_auth_enable && conf->smtp_sender_dependent_authentication)
		return false;
	if (session->is_plain_fallback || (session->tls != NULL && !session->may_be_reused))
		return false;
	return session->is_open && !session->is_broken && !session->is_closing &&
	       !clock_is_past(clock_add_ms(session->opened, limit_ms)) &&
	       (count_limit == 0 || session->uses < (unsigned)count_limit);
}
