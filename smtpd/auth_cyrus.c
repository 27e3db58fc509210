/* SPDX-License-Identifier: MIT */
/*
 * smtpd_sasl_type = cyrus: cyrusauth(8) does the dialogue with the Cyrus SASL library, over a
 * connection of its own for each login; see ipc/cyrus.h.
 */

#include <string.h>

#include "base/base64.h"
#include "base/log.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/cyrus.h"
#include "proc/service.h"
#include "smtpd/auth.h"
#include "smtpd/session.h"

static struct ipc_channel channel = { .fd = -1, .passed_fd = -1 };

static void hang_up(void)
{
	if (channel.out.data != NULL)
		explicit_bzero(channel.out.data, channel.out.capacity);
	ipc_close(&channel);
}

static bool call(struct clock_mono deadline)
{
	hang_up();
	ipc_attach(&channel, service_connect("cyrusauth", deadline));
	return ipc_is_open(&channel);
}

/* ---- the mechanisms ---- */

static bool ask_mechanisms(struct sasl_mechanisms *ret, struct clock_mono deadline)
{
	struct msg_sasl_listmech question = { .service = span_of(conf->smtpd_sasl_service) };
	struct msg_sasl_mech mech;

	ret->count = 0;
	if (!call(deadline) ||
	    IPC_SEND(&channel, sasl_listmech, &question, -1, deadline) != IPC_OK)
		return false;
	while (IPC_EXPECT(&channel, sasl_mech, &mech, deadline) == IPC_OK) {
		if (mech.name.n == 0)
			return true;
		if (!sasl_mechanisms_add(ret, mech.name, mech.properties))
			return false;
	}
	return false;
}

static bool mechanisms(struct sasl_mechanisms *ret)
{
	struct clock_mono deadline = service_first_answer();
	/* Twice: cyrusauth may have begun a new generation in between. */
	bool is_known = ask_mechanisms(ret, deadline) || ask_mechanisms(ret, deadline);

	hang_up();
	if (!is_known)
		log_warn("cannot reach the cyrusauth service");
	else if (ret->count == 0)
		log_warn("SASL: the Cyrus library has no mechanism: the log of cyrusauth says why");
	return is_known && ret->count > 0;
}

/* ---- a login ---- */

static enum auth_step take_answer(struct auth_attempt *attempt,
				  const struct msg_sasl_answer *answer)
{
	buf_reset(&attempt->text);
	(void)buf_set(&attempt->user, answer->user);
	if (answer->verdict == CYRUS_CHALLENGE)
		return base64_encode(&attempt->text, answer->challenge) ? AUTH_ASK : AUTH_LATER;
	if (answer->verdict == CYRUS_SUCCESS)
		return AUTH_YES;
	(void)buf_add(&attempt->text, answer->reason);
	if (answer->verdict == CYRUS_FAILURE)
		return AUTH_NO;
	log_warn("%s: SASL %s authentication failed: %s", client_text(attempt->session),
		 attempt->mechanism->name, log_clean(answer->reason));
	return AUTH_LATER;
}

/* The words in front are those by which fail2ban knows that the client did nothing wrong. */
static void complain(const struct auth_attempt *attempt, enum ipc_status status)
{
	log_warn("%s: SASL %s authentication failed: Connection lost to authentication server (%s)",
		 client_text(attempt->session), attempt->mechanism->name,
		 status == IPC_TIMEOUT ? "the Cyrus library, or what it asks, does not answer"
				       : "the cyrusauth service");
}

static enum auth_step read_answer(struct auth_attempt *attempt, bool is_sent,
				  struct clock_mono deadline)
{
	enum auth_step step = AUTH_LATER;
	enum ipc_status status = IPC_CLOSED;
	struct msg_sasl_answer answer;

	if (is_sent)
		status = IPC_EXPECT(&channel, sasl_answer, &answer, deadline);
	if (status == IPC_OK)
		step = take_answer(attempt, &answer);
	else
		complain(attempt, status);
	if (step != AUTH_ASK)
		hang_up();
	return step;
}

static bool send_begin(const struct auth_attempt *attempt, const struct span *response,
		       struct clock_mono deadline)
{
	const struct session *s = attempt->session;
	struct msg_sasl_begin message = {
		.mechanism = span_of(attempt->mechanism->name),
		.has_response = response != NULL,
		.response = response != NULL ? *response : SPAN(""),
		.service = span_of(conf->smtpd_sasl_service),
		.realm = span_of(conf->smtpd_sasl_local_domain),
		.local_addr = span_of(s->peer.server_addr),
		.local_port = span_of(s->peer.server_port),
		.remote_addr = span_of(s->peer.addr),
		.remote_port = span_of(s->peer.port),
		.is_secured = s->tls != NULL,
		.timeout_s = (uint32_t)conf->smtpd_timeout,
	};

	return call(deadline) && IPC_SEND(&channel, sasl_begin, &message, -1, deadline) == IPC_OK;
}

static bool send_continue(struct span response, struct clock_mono deadline)
{
	struct msg_sasl_continue message = { .response = response };

	return ipc_is_open(&channel) &&
	       IPC_SEND(&channel, sasl_continue, &message, -1, deadline) == IPC_OK;
}

/* The first step where `is_first`; `text`: the response in base64, or NULL. */
static enum auth_step step(struct auth_attempt *attempt, bool is_first, const struct span *text)
{
	struct clock_mono deadline = service_first_answer();
	struct buf response = BUF_INIT(CYRUS_BYTES_MAX);
	enum auth_step result = AUTH_NO;

	if (text == NULL || base64_decode(&response, *text)) {
		struct span bytes = buf_span(&response);
		bool is_sent = is_first ? send_begin(attempt, text != NULL ? &bytes : NULL, deadline)
					: send_continue(bytes, deadline);

		result = read_answer(attempt, is_sent, deadline);
	} else {
		buf_reset(&attempt->text);
		hang_up();
	}
	if (response.data != NULL)
		explicit_bzero(response.data, response.capacity);
	buf_done(&response);
	return result;
}

static enum auth_step begin(struct auth_attempt *attempt, const struct span *response)
{
	return step(attempt, true, response);
}

static enum auth_step go_on(struct auth_attempt *attempt, struct span response)
{
	return step(attempt, false, &response);
}

const struct auth_backend auth_cyrus = {
	.type = "cyrus",
	.mechanisms = mechanisms,
	.begin = begin,
	.go_on = go_on,
	.abandon = hang_up,
};
