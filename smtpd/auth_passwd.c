/* SPDX-License-Identifier: MIT */
/*
 * smtpd_sasl_type = passwd: PLAIN (RFC 4616) and LOGIN, whose passwords passauth(8) checks. What the
 * stored hashes are good for is these two alone.
 */

#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/log.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "proc/service.h"
#include "sasl/passwd.h"
#include "sasl/plain.h"
#include "smtpd/auth.h"
#include "smtpd/session.h"

enum { ANSWER_MS = 20000, DECODED_MAX = 16 * 1024 };

static bool mechanisms(struct sasl_mechanisms *ret)
{
	return sasl_mechanisms_add(ret, SPAN("PLAIN"), SASL_PLAINTEXT) &&
	       sasl_mechanisms_add(ret, SPAN("LOGIN"), SASL_PLAINTEXT);
}

/* ---- asking passauth ---- */

static bool ask(const struct msg_login_query *query, uint32_t *ret_verdict)
{
	struct clock_mono deadline = clock_in_ms(ANSWER_MS);
	struct msg_login_verdict answer;
	struct ipc_channel channel;
	bool is_answered;

	ipc_attach(&channel, service_connect("passauth", deadline));
	is_answered = ipc_is_open(&channel) &&
		      IPC_SEND(&channel, login_query, query, -1, deadline) == IPC_OK &&
		      IPC_EXPECT(&channel, login_verdict, &answer, deadline) == IPC_OK;
	if (is_answered)
		*ret_verdict = answer.verdict;
	if (channel.out.data != NULL)
		explicit_bzero(channel.out.data, channel.out.capacity);
	ipc_close(&channel);
	return is_answered;
}

/* Who guesses waits; what it is owed goes out first. */
static enum auth_step refuse(struct auth_attempt *attempt)
{
	struct timespec pause = { .tv_sec = conf->smtpd_sasl_passwd_delay };

	(void)stream_flush(&attempt->session->stream);
	(void)nanosleep(&pause, NULL);
	return AUTH_NO;
}

static enum auth_step check(struct auth_attempt *attempt, struct span password)
{
	struct msg_login_query query = { .user = buf_span(&attempt->user), .password = password };
	uint32_t verdict = LOGIN_LATER;

	buf_reset(&attempt->text);
	if (query.user.n > PASSWD_USER_MAX || password.n > PASSWD_PASSWORD_MAX)
		return refuse(attempt);
	/* Twice: passauth may have begun a new generation in between. */
	if (!ask(&query, &verdict) && !ask(&query, &verdict))
		log_warn("cannot reach the passauth service");
	if (verdict == LOGIN_YES)
		return AUTH_YES;
	return verdict == LOGIN_NO ? refuse(attempt) : AUTH_LATER;
}

/* ---- the mechanisms ---- */

static enum auth_step ask_client(struct auth_attempt *attempt, struct span challenge)
{
	buf_reset(&attempt->text);
	(void)base64_encode(&attempt->text, challenge);
	return AUTH_ASK;
}

static enum auth_step step_plain(struct auth_attempt *attempt, struct span message)
{
	struct sasl_plain plain;

	buf_reset(&attempt->text);
	if (!sasl_plain_parse(message, &plain))
		return refuse(attempt);
	(void)buf_set(&attempt->user, plain.authentication);
	/* Nobody may act as somebody else. */
	if (plain.authorization.n > 0 && !span_eq(plain.authorization, plain.authentication))
		return refuse(attempt);
	return check(attempt, plain.password);
}

/* draft-murchison-sasl-login: the name, then the password. */
static enum auth_step step_login(struct auth_attempt *attempt, struct span message)
{
	if (attempt->user.length > 0)
		return check(attempt, message);
	if (message.n == 0 || !buf_set(&attempt->user, message))
		return refuse(attempt);
	return ask_client(attempt, SPAN("Password:"));
}

static enum auth_step go_on(struct auth_attempt *attempt, struct span response)
{
	struct buf message = BUF_INIT(DECODED_MAX);
	enum auth_step step = AUTH_NO;

	if (base64_decode(&message, response))
		step = strcmp(attempt->mechanism->name, "PLAIN") == 0
			       ? step_plain(attempt, buf_span(&message))
			       : step_login(attempt, buf_span(&message));
	if (message.data != NULL)
		explicit_bzero(message.data, message.capacity);
	buf_done(&message);
	return step;
}

static enum auth_step begin(struct auth_attempt *attempt, const struct span *response)
{
	buf_reset(&attempt->user);
	if (response != NULL)
		return go_on(attempt, *response);
	return ask_client(attempt, strcmp(attempt->mechanism->name, "PLAIN") == 0
					   ? SPAN("")
					   : SPAN("Username:"));
}

static void abandon(void)
{
}

const struct auth_backend auth_passwd = {
	.type = "passwd",
	.mechanisms = mechanisms,
	.begin = begin,
	.go_on = go_on,
	.abandon = abandon,
};
