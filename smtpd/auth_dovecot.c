/* SPDX-License-Identifier: MIT */
/*
 * smtpd_sasl_type = dovecot: a connection to Dovecot's authentication service, which the worker
 * keeps from session to session. When an exchange ends otherwise than with its verdict, the
 * connection is closed, so that nothing of it can be taken for an answer to the next.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/stream.h"
#include "conf/conf.h"
#include "net/endpoint.h"
#include "net/endpoint_connect.h"
#include "sasl/dovecot.h"
#include "smtpd/auth.h"
#include "smtpd/session.h"

/* Dovecot lets a client wait that failed often, up to 17 seconds. */
enum { GREETING_MS = 10000, ANSWER_MS = 30000, LINES_MAX = 1000, REQUEST_MAX = 32 * 1024 };

static struct {
	char *endpoint;
	struct stream stream;
	bool is_open;
	struct sasl_mechanisms mechanisms;
	uint32_t id; /* of the last request */
} self;

static void prepare(void)
{
	self.endpoint = endpoint_of_path(conf->smtpd_sasl_path);
}

static void hang_up(void)
{
	if (self.is_open)
		stream_close(&self.stream);
	self.is_open = false;
}

static void complain(const char *problem)
{
	log_warn("SASL: problem talking to the authentication server %s: %s",
		 conf->smtpd_sasl_path, problem);
}

static const char *io_problem(enum io_status status)
{
	switch (status) {
	case IO_TIMEOUT: return "Connection timed out";
	case IO_TOOLONG: return "malformed line: too long";
	case IO_EOF: return "Connection closed";
	case IO_OK:
	case IO_ERROR: break;
	}
	return "Connection lost";
}

/* ---- opening ---- */

static bool read_greeting(void)
{
	struct dovecot_greeting greeting = { .is_done = false };
	struct span line;

	for (int i = 0; i < LINES_MAX && !greeting.is_done; i++) {
		enum io_status status = stream_line(&self.stream, DOVECOT_LINE_MAX, &line, NULL);

		if (status != IO_OK) {
			complain(io_problem(status));
			return false;
		}
		if (!dovecot_greeting_line(&greeting, line)) {
			complain("malformed greeting");
			return false;
		}
	}
	self.mechanisms = greeting.mechanisms;
	if (!greeting.is_done)
		complain("malformed greeting");
	return greeting.is_done;
}

/* One that speaks unasked has gone, or restarts. */
static bool is_stale(void)
{
	return self.is_open && !stream_is_quiet(&self.stream);
}

static bool open_connection(void)
{
	struct clock_mono deadline = clock_in_ms(GREETING_MS);
	struct buf problem = BUF_INIT(1000);
	int fd;

	if (is_stale())
		hang_up();
	if (self.is_open)
		return true;
	fd = endpoint_connect(span_of(self.endpoint), 0, deadline, &problem);
	if (fd < 0) {
		log_warn("SASL: Connect to %s failed: %s", conf->smtpd_sasl_path,
			 buf_str(&problem));
		buf_done(&problem);
		return false;
	}
	stream_open(&self.stream, fd);
	self.is_open = true;
	stream_set_deadline(&self.stream, deadline);
	stream_printf(&self.stream, "VERSION\t1\t1\nCPID\t%ld\n", (long)getpid());
	if (stream_flush(&self.stream) == IO_OK && read_greeting())
		return true;
	hang_up();
	return false;
}

static bool mechanisms(struct sasl_mechanisms *ret)
{
	if (!open_connection())
		return false;
	*ret = self.mechanisms;
	return true;
}

/* ---- an exchange ---- */

static enum auth_step give_up(const char *problem)
{
	complain(problem);
	hang_up();
	return AUTH_LATER;
}

static enum auth_step take_answer(struct auth_attempt *attempt, enum dovecot_kind kind,
				  const struct dovecot_answer *answer)
{
	buf_reset(&attempt->text);
	if (kind == DOVECOT_CONT) {
		(void)buf_add(&attempt->text, answer->challenge);
		return AUTH_ASK;
	}
	(void)buf_set(&attempt->user, answer->user);
	if (kind == DOVECOT_OK)
		return AUTH_YES;
	(void)buf_add(&attempt->text, answer->reason);
	if (!answer->is_temporary)
		return AUTH_NO;
	log_warn("%s: SASL %s authentication failed: %s", client_text(attempt->session),
		 attempt->mechanism->name,
		 answer->reason.n > 0 ? log_clean(answer->reason) : "Temporary failure");
	return AUTH_LATER;
}

/* The answer to this request; those to others, which gave up, are passed over. */
static enum auth_step read_answer(struct auth_attempt *attempt)
{
	struct dovecot_answer answer;
	struct span line;

	if (stream_flush(&self.stream) != IO_OK)
		return give_up("Connection lost");
	for (int i = 0; i < LINES_MAX; i++) {
		enum io_status status = stream_line(&self.stream, DOVECOT_LINE_MAX, &line, NULL);
		enum dovecot_kind kind;

		if (status != IO_OK)
			return give_up(io_problem(status));
		kind = dovecot_answer_parse(line, &answer);
		if (kind == DOVECOT_BAD || (kind != DOVECOT_OTHER && answer.id != self.id))
			return give_up("malformed answer");
		if (kind != DOVECOT_OTHER)
			return take_answer(attempt, kind, &answer);
	}
	return give_up("malformed answer");
}

static enum auth_step begin(struct auth_attempt *attempt, const struct span *response)
{
	const struct session *s = attempt->session;
	struct dovecot_request request = {
		.mechanism = attempt->mechanism->name,
		.service = conf->smtpd_sasl_service,
		.local_addr = s->peer.server_addr,
		.local_port = s->peer.server_port,
		.remote_addr = s->peer.addr,
		.remote_port = s->peer.port,
		.is_secured = s->tls != NULL,
		.has_response = response != NULL,
		.response = response != NULL ? *response : SPAN(""),
	};
	struct buf line = BUF_INIT(REQUEST_MAX);
	bool is_made;

	if (!open_connection())
		return AUTH_LATER;
	request.id = ++self.id;
	is_made = dovecot_auth_line(&line, &request);
	stream_set_deadline(&self.stream, clock_in_ms(ANSWER_MS));
	if (is_made)
		stream_write(&self.stream, buf_span(&line));
	explicit_bzero(line.data, line.capacity);
	buf_done(&line);
	return is_made ? read_answer(attempt) : AUTH_NO;
}

static enum auth_step go_on(struct auth_attempt *attempt, struct span response)
{
	stream_set_deadline(&self.stream, clock_in_ms(ANSWER_MS));
	stream_printf(&self.stream, "CONT\t%u\t%.*s\n", (unsigned)self.id, SPAN_ARG(response));
	return read_answer(attempt);
}

const struct auth_backend auth_dovecot = {
	.type = "dovecot",
	.prepare = prepare,
	.mechanisms = mechanisms,
	.begin = begin,
	.go_on = go_on,
	.abandon = hang_up,
};
