/* SPDX-License-Identifier: MIT */
/*
 * Logging in at a server (RFC 4954): postconf(5) smtp_sasl_auth_enable, smtp_sasl_password_maps and
 * their kin. Neither password nor response is ever logged. What the server says is untrusted.
 */

#include "smtp.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/base64.h"
#include "base/log.h"
#include "conf/conf.h"
#include "route/site.h"
#include "sasl/client.h"
#include "table/match.h"

enum { MESSAGE_MAX = 9 * 1024, AUTH_LINE_MAX = 12288 - 2 }; /* RFC 4954 4 */

static struct {
	struct maps *passwords;
	struct match_list *filter; /* NULL: no filter */
	struct sasl_options plain, secured, verified;
} self;

/* Who we are at this server, and where that is written. */
struct credentials {
	struct sasl_login login;
	struct span key;     /* of the table */
	const char *origin;  /* "type:table" */
	struct span account; /* that the token is of; or empty */
};

/* ---- start ---- */

static void parse_options(const char *name, const char *text, struct sasl_options *ret)
{
	struct span unknown;

	if (!sasl_options_parse(span_of(text), ret, &unknown))
		fatal("%s_%s: unknown option: %.*s", is_lmtp ? "lmtp" : "smtp", name,
		      SPAN_ARG(unknown));
}

static void open_filter(void)
{
	struct buf error = BUF_INIT(1000);
	struct span list = span_of(conf->smtp_sasl_mechanism_filter);

	if (span_trim(list).n == 0)
		return;
	self.filter = match_open("smtp_sasl_mechanism_filter", list, MATCH_STRING,
				 TABLE_FOLD | TABLE_IN_JAIL, &error);
	if (self.filter == NULL)
		fatal("smtp_sasl_mechanism_filter: %s", buf_str(&error));
}

void auth_prepare(struct maps *passwords)
{
	self.passwords = passwords;
	if (!conf->smtp_sasl_auth_enable)
		return;
	if (maps_is_empty(passwords))
		fatal("%s_sasl_auth_enable is set, but %s is empty", is_lmtp ? "lmtp" : "smtp",
		      maps_title(passwords));
	parse_options("sasl_security_options", conf->smtp_sasl_security_options, &self.plain);
	parse_options("sasl_tls_security_options", conf->smtp_sasl_tls_security_options,
		      &self.secured);
	parse_options("sasl_tls_verified_security_options",
		      conf->smtp_sasl_tls_verified_security_options, &self.verified);
	open_filter();
	refusals_prepare();
	sasl_client_prepare();
}

void auth_take_offer(struct session *session, struct span words)
{
	struct span word;

	if (!conf->smtp_sasl_auth_enable)
		return;
	while ((word = span_word(&words, " \t")).n > 0) {
		if (sasl_mechanism_find(&session->auth_offer, word) != NULL ||
		    (self.filter != NULL && match_name(self.filter, NULL, word) != MATCH_YES))
			continue;
		/* What is no name of a mechanism is nothing that we could use. */
		(void)!sasl_mechanisms_add(&session->auth_offer, word, 0);
	}
	session->features |= FEATURE_AUTH;
}

/* ---- the password ---- */

/* By sender where that is wanted, by the server's name, by the next hop as it is written. */
static enum table_status find_password(const struct session *session, struct transfer *transfer,
				       struct span *ret_key, struct span *ret_value)
{
	struct span sender = transfer->delivery->request.sender, extension;
	enum table_status status = TABLE_NOT_FOUND;

	if (conf->smtp_sender_dependent_authentication && sender.n > 0) {
		*ret_key = sender;
		status = maps_find_address(self.passwords, NULL, &site.rules, sender,
					   MAPS_KEYS_REWRITE, ret_value, &extension);
	}
	if (status == TABLE_NOT_FOUND) {
		*ret_key = span_of(session->host);
		status = maps_find(self.passwords, NULL, *ret_key, false, ret_value);
	}
	if (status == TABLE_NOT_FOUND) {
		*ret_key = buf_span(&session->target);
		status = maps_find(self.passwords, NULL, *ret_key, false, ret_value);
	}
	return status;
}

/*
 * "user:password"; behind "oauth2:" the password is an access token, and behind "oauth2:account:" the
 * name of an account that has one.
 */
static void split_value(struct arena *arena, struct span value, struct credentials *credentials)
{
	struct sasl_login *ret = &credentials->login;
	struct span delimiter = span_of(conf->smtp_sasl_password_result_delimiter);
	struct span token = SPAN("oauth2:"), account = SPAN("account:"), copy = arena_span(arena, value);
	const char *at = delimiter.n > 0 ? memmem(copy.p, copy.n, delimiter.p, delimiter.n) : NULL;

	ret->user = copy;
	if (at == NULL)
		return;
	ret->user = span_first(copy, (size_t)(at - copy.p));
	ret->password = span_from(copy, ret->user.n + delimiter.n);
	ret->is_token = span_starts(ret->password, token);
	if (ret->is_token)
		ret->password = span_from(ret->password, token.n);
	if (ret->is_token && span_starts(ret->password, account)) {
		credentials->account = span_from(ret->password, account.n);
		ret->password = (struct span){ NULL, 0 };
	}
}

/* ---- what went wrong ---- */

/* Refused for good by the server, and still the fault of our configuration: mail waits. */
static void soften(struct transfer *transfer)
{
	if (conf->smtp_sasl_auth_soft_bounce)
		dsn_soften(transfer->why.status);
}

static void log_refusal(const struct session *session, const struct transfer *transfer,
			const struct credentials *credentials, const char *mechanism)
{
	log_warn("%s: SASL authentication failed: server %s refused sasl_method=%s, "
		 "sasl_username=%s, which is from %s, key \"%s\"",
		 transfer->delivery->id, session->name, mechanism,
		 log_clean(credentials->login.user),
		 credentials->origin != NULL ? credentials->origin : maps_title(self.passwords),
		 log_clean(credentials->key));
}

/* Nothing that a message is to blame for. */
static bool fail_here(struct session *session, struct transfer *transfer, const char *what)
{
	why_set(&transfer->why, "4.7.0", "SASL authentication failed; server %s %s", session->name,
		what);
	fail_site(transfer, session);
	return false;
}

/* ---- tokens ---- */

/* The account's token. False: there is none, and everybody was told. */
static bool find_token(struct session *session, struct transfer *transfer,
		       struct credentials *credentials)
{
	struct span reason;

	if (token_find(&transfer->delivery->arena, credentials->account, SPAN(""),
		       &credentials->login.password, &reason))
		return true;
	log_warn("%s: no OAuth access token for %s at server %s, account \"%s\", which is from %s, "
		 "key \"%s\": %s",
		 transfer->delivery->id, log_clean(credentials->login.user), session->name,
		 log_clean(credentials->account),
		 credentials->origin != NULL ? credentials->origin : maps_title(self.passwords),
		 log_clean(credentials->key), log_clean(reason));
	why_set(&transfer->why, "4.7.0",
		"SASL authentication failed; no OAuth access token for account %s: %s",
		log_clean(credentials->account), log_clean(reason));
	fail_site(transfer, session);
	return false;
}

/* The server did not want the token: whether there is another one now. */
static bool renew_token(struct session *session, struct transfer *transfer,
			struct credentials *credentials)
{
	struct span token = { NULL, 0 }, reason;

	if (credentials->account.n == 0 || session->is_closing || session->reply.code / 100 == 2 ||
	    !token_find(&transfer->delivery->arena, credentials->account,
			credentials->login.password, &token, &reason) ||
	    span_eq(token, credentials->login.password))
		return false;
	credentials->login.password = token;
	return true;
}

/* ---- the dialogue ---- */

/* The client's line; the log of a verbose client has `shown` instead. */
static void say_secret(struct session *session, const char *command, struct span message,
		       bool is_initial)
{
	struct buf line = BUF_INIT(AUTH_LINE_MAX);

	chat_trace(session, '>', span_of(*command != '\0' ? command : "(response)"));
	(void)buf_text(&line, command);
	if (is_initial)
		(void)buf_text(&line, message.n > 0 ? " " : " =");
	(void)base64_encode(&line, message);
	if (!buf_is_over(&line)) {
		stream_write(&session->stream, buf_span(&line));
		stream_write(&session->stream, SPAN("\r\n"));
	} else {
		/* Longer than a server need take: as if we had thought better of it. */
		stream_write(&session->stream, SPAN("*\r\n"));
	}
	OPENSSL_cleanse(line.data, line.capacity);
	buf_done(&line);
}

/* The text of "334 ..." decoded. */
static bool decode_challenge(const struct session *session, struct buf *ret)
{
	struct span text = span_trim(span_from(buf_span(&session->reply.text), 3));

	buf_reset(ret);
	return session->reply.lines == 1 && base64_decode(ret, text);
}

/* Until the server's verdict is in session->reply. False: the connection failed. */
static bool converse(struct session *session, struct transfer *transfer, struct sasl_client *client,
		     const char *name)
{
	struct buf message = BUF_INIT(MESSAGE_MAX), challenge = BUF_INIT(MESSAGE_MAX);
	char command[SASL_NAME_MAX + 8];
	bool has_first = sasl_client_start(client, client->mechanism, client->login, &message);
	enum chat chat;

	(void)snprintf(command, sizeof(command), "AUTH %s", name);
	if (has_first)
		say_secret(session, command, buf_span(&message), true);
	else
		chat_say(session, "%s", command);
	while ((chat = chat_listen(session, conf->smtp_helo_timeout, NULL, NULL)) == CHAT_OK &&
	       session->reply.code == 334) {
		buf_reset(&message);
		if (decode_challenge(session, &challenge) &&
		    sasl_client_answer(client, buf_span(&challenge), &message))
			say_secret(session, "", buf_span(&message), false);
		else
			chat_say(session, "*");
	}
	if (message.data != NULL)
		OPENSSL_cleanse(message.data, message.capacity);
	buf_done(&message);
	buf_done(&challenge);
	if (chat != CHAT_OK)
		fail_chat(transfer, session, chat, "performing SASL authentication");
	return chat == CHAT_OK;
}

static bool take_verdict(struct session *session, struct transfer *transfer,
			 const struct credentials *credentials, const struct sasl_client *client)
{
	const char *name = sasl_client_name(client->mechanism);

	if (session->reply.code / 100 != 2) {
		log_refusal(session, transfer, credentials, name);
		refusals_keep(&credentials->login, &session->reply);
		why_unauthenticated(&transfer->why, session, false);
		soften(transfer);
		fail_site(transfer, session);
		return false;
	}
	if (!sasl_client_is_satisfied(client))
		return fail_here(session, transfer, "did not prove that it knows the password");
	session->is_logged_in = true;
	log_info("%s: authenticated to %s, sasl_method=%s, sasl_username=%s",
		 transfer->delivery->id, session->relay, name, log_clean(credentials->login.user));
	return true;
}

/* Whether that is known to come to nothing; the reply of then is that of now. */
static bool is_known_refusal(struct session *session, struct transfer *transfer,
			     const struct credentials *credentials)
{
	struct buf line = BUF_INIT(SMTP_REPLY_LINE_MAX);
	bool is_known = refusals_find(&credentials->login, &line);

	if (is_known) {
		smtp_reply_reset(&session->reply);
		(void)!smtp_reply_line(&session->reply, buf_span(&line));
		why_unauthenticated(&transfer->why, session, true);
		soften(transfer);
		fail_site(transfer, session);
	}
	buf_done(&line);
	return is_known;
}

static bool log_in(struct session *session, struct transfer *transfer,
		   struct credentials *credentials)
{
	const struct sasl_options *options = session->is_verified   ? &self.verified
					     : session->tls != NULL ? &self.secured
								    : &self.plain;
	struct sasl_client client = { .login = &credentials->login };
	bool is_in;

	if (is_known_refusal(session, transfer, credentials))
		return false;
	client.mechanism =
		sasl_client_choose(&session->auth_offer, options, &credentials->login);
	if (client.mechanism == NULL)
		return fail_here(session, transfer, "offered no compatible authentication "
				 "mechanisms for this type of connection security");
	is_in = converse(session, transfer, &client, sasl_client_name(client.mechanism));
	if (is_in && renew_token(session, transfer, credentials)) {
		const struct sasl_client_mechanism *mechanism = client.mechanism;

		sasl_client_done(&client);
		client = (struct sasl_client){ .login = &credentials->login,
					       .mechanism = mechanism };
		is_in = converse(session, transfer, &client, sasl_client_name(mechanism));
	}
	is_in = is_in && take_verdict(session, transfer, credentials, &client);
	sasl_client_done(&client);
	return is_in;
}

bool auth_has_login(const struct session *session, struct transfer *transfer)
{
	struct span key, value;

	/* Of a table that fails nobody knows. */
	return conf->smtp_sasl_auth_enable &&
	       find_password(session, transfer, &key, &value) != TABLE_NOT_FOUND;
}

bool auth_log_in(struct session *session, struct transfer *transfer)
{
	struct credentials credentials = { .login = { .host = session->host,
						      .port = session->port } };
	struct span value;

	if ((session->features & FEATURE_AUTH) == 0)
		return true;
	switch (find_password(session, transfer, &credentials.key, &value)) {
	case TABLE_FOUND: break;
	case TABLE_NOT_FOUND: return true;
	case TABLE_ERROR:
	case TABLE_PENDING:
		log_warn("%s: %s", maps_title(self.passwords), maps_error(self.passwords));
		return fail_here(session, transfer, "cannot be asked: password lookup failure");
	}
	credentials.origin = maps_origin(self.passwords);
	split_value(&transfer->delivery->arena, value, &credentials);
	if (credentials.account.n > 0 && !find_token(session, transfer, &credentials))
		return false;
	return log_in(session, transfer, &credentials);
}
