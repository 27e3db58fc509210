/* SPDX-License-Identifier: MIT */
/*
 * AUTH: RFC 4954 section 4. The dialogue between the client and the back end; the session that was
 * logged in has its worker for itself, which ends with it.
 */

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/log.h"
#include "conf/conf.h"
#include "proc/service.h"
#include "smtpd/auth.h"
#include "smtpd/session.h"
#include "smtpd/tls.h"

enum { SWALLOW_MAX = 512 * 1024, LOGIN_MAX = 512, TEXT_MAX = 16 * 1024 };

/* Everything that must be right before a word of the mechanism. False: it was answered. */
static bool may_begin(struct session *s)
{
	if (s->protocol == NULL) {
		reply(s, "503 5.5.1 Error: send HELO/EHLO first");
	} else if (!auth_is_enabled(s)) {
		reply(s, "503 5.5.1 Error: authentication not enabled");
	} else if (!session_tls_permits_auth(s)) {
		reply(s, "538 5.7.11 Encryption required for requested authentication mechanism");
	} else if (s->mail.is_open) {
		reply(s, "503 5.5.1 Error: MAIL transaction in progress");
	} else if (s->login.length > 0) {
		reply(s, "503 5.5.1 Error: already authenticated");
	} else if (limit_is_passed(s, RATE_AUTH)) {
		reply_logged(s, "450 4.7.1 Error: too many AUTH commands from %s", s->peer.addr);
	} else {
		return true;
	}
	return false;
}

/* ---- the client's responses ---- */

enum response { RESPONSE_OK, RESPONSE_REFUSED, RESPONSE_LOST };

/* The rest of a line that is too long: its end is looked for, but not for ever. */
static enum response swallow(struct session *s, size_t limit)
{
	enum io_status status = IO_TOOLONG;
	size_t swallowed = 0;
	struct span line;

	while (status == IO_TOOLONG && swallowed < SWALLOW_MAX) {
		status = stream_line(&s->stream, limit, &line, NULL);
		swallowed += line.n;
	}
	if (status != IO_OK)
		return RESPONSE_LOST;
	reply(s, "500 5.5.6 Error: authentication response is too long");
	return RESPONSE_REFUSED;
}

/* One line in answer to a challenge. Borrowed from the stream. */
static enum response read_response(struct session *s, struct span *ret)
{
	size_t limit = (size_t)conf->smtpd_sasl_response_limit;
	enum io_status status;

	if (limit == 0 || limit > STREAM_INPUT_BYTES / 2)
		limit = STREAM_INPUT_BYTES / 2;
	stream_set_deadline(&s->stream, clock_in_ms((int64_t)conf->smtpd_timeout * 1000));
	status = stream_line(&s->stream, limit, ret, NULL);
	if (status == IO_TOOLONG)
		return swallow(s, limit);
	if (status != IO_OK)
		return RESPONSE_LOST;
	if (span_is(*ret, "*")) {
		reply(s, "501 5.7.0 Authentication aborted");
		return RESPONSE_REFUSED;
	}
	return RESPONSE_OK;
}

static bool check_base64(struct session *s, struct span text)
{
	struct buf scratch = BUF_INIT(STREAM_INPUT_BYTES);
	bool is_good = base64_decode(&scratch, text);

	if (scratch.data != NULL)
		explicit_bzero(scratch.data, scratch.capacity);
	buf_done(&scratch);
	if (!is_good)
		reply(s, "501 5.5.2 Error: response is not valid base64");
	return is_good;
}

/* ---- outcomes ---- */

/* Whether the name can stand in the log, in headers and in tables as it is. */
static bool is_good_login(struct span user)
{
	if (user.n == 0 || user.n > LOGIN_MAX)
		return false;
	for (size_t i = 0; i < user.n; i++)
		if ((unsigned char)user.p[i] < ' ' || user.p[i] == 0x7f)
			return false;
	return true;
}

static void succeed(struct session *s, const struct auth_attempt *attempt)
{
	(void)buf_set(&s->login, buf_span(&attempt->user));
	(void)snprintf(s->login_method, sizeof(s->login_method), "%s", attempt->mechanism->name);
	/* What this process knows now is for nobody else. */
	service_end_worker();
	reply_quietly(s, "235 2.7.0 Authentication successful");
}

static void log_failure(struct session *s, const char *mechanism, const char *reason,
			struct span user)
{
	if (user.n > 0)
		log_warn("%s: SASL %s authentication failed: %s, sasl_username=%s", client_text(s),
			 mechanism, reason, log_clean(user));
	else
		log_warn("%s: SASL %s authentication failed: %s", client_text(s), mechanism, reason);
}

static void fail(struct session *s, const struct auth_attempt *attempt)
{
	const char *reason = attempt->text.length > 0 ? log_clean(buf_span(&attempt->text))
						      : "(reason unavailable)";

	log_failure(s, attempt->mechanism->name, reason, buf_span(&attempt->user));
	if (limit_failed_login(s)) {
		reply_quietly(s, "421 4.7.0 %s Error: too many failed logins", conf->myhostname);
		return;
	}
	reply_logged(s, "535 5.7.8 Error: authentication failed: %s", reason);
}

/* ---- the dialogue ---- */

/* The back end's verdict; in between the client is asked. False: it was answered already. */
static bool converse(struct session *s, struct auth_attempt *attempt, const struct span *first,
		     enum auth_step *ret)
{
	enum auth_step step = auth_backend->begin(attempt, first);
	struct span response;

	while (step == AUTH_ASK) {
		stream_printf(&s->stream, "334 %s\r\n", buf_str(&attempt->text));
		notice_line(s, "Out", SPAN("334 (challenge)"));
		if (read_response(s, &response) != RESPONSE_OK || !check_base64(s, response)) {
			auth_backend->abandon();
			return false;
		}
		notice_line(s, "In", SPAN("(response)"));
		step = auth_backend->go_on(attempt, response);
	}
	*ret = step;
	return true;
}

static void attempt_login(struct session *s, const struct sasl_mechanism *mechanism,
			  const struct span *first)
{
	struct auth_attempt attempt = { .session = s, .mechanism = mechanism };
	enum auth_step step;

	buf_init(&attempt.text, TEXT_MAX);
	buf_init(&attempt.user, TEXT_MAX);
	if (converse(s, &attempt, first, &step)) {
		if (step == AUTH_YES && !is_good_login(buf_span(&attempt.user)))
			step = AUTH_NO;
		switch (step) {
		case AUTH_YES: succeed(s, &attempt); break;
		case AUTH_NO: fail(s, &attempt); break;
		case AUTH_LATER:
		case AUTH_ASK:
			reply_quietly(s, "454 4.7.0 Temporary authentication failure: "
					 "Connection lost to authentication server");
			break;
		}
	}
	buf_done(&attempt.text);
	buf_done(&attempt.user);
}

void cmd_auth(struct session *s, struct span arguments)
{
	struct span rest = arguments, name = span_word(&rest, " \t"), response = span_trim(rest);
	struct sasl_mechanisms offer;
	const struct sasl_mechanism *mechanism;

	if (!may_begin(s))
		return;
	if (name.n == 0 || span_has(response, ' ')) {
		reply(s, "501 5.5.4 Syntax: AUTH mechanism");
		return;
	}
	if (!auth_offer(s, &offer)) {
		reply_quietly(s, "454 4.7.0 Temporary authentication failure: "
				 "no authentication mechanisms");
		return;
	}
	mechanism = sasl_mechanism_find(&offer, name);
	if (mechanism == NULL) {
		log_failure(s, log_clean(name), "Invalid authentication mechanism", SPAN(""));
		reply_logged(s, "535 5.7.8 Error: authentication failed: "
			 "Invalid authentication mechanism");
		return;
	}
	/* RFC 4954 4: "=" is a response of no bytes. */
	if (span_is(response, "="))
		attempt_login(s, mechanism, &SPAN(""));
	else if (response.n == 0)
		attempt_login(s, mechanism, NULL);
	else if (check_base64(s, response))
		attempt_login(s, mechanism, &response);
}
