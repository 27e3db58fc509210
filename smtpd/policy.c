/* SPDX-License-Identifier: MIT */
/*
 * The client side of the policy protocol; see policy.h. Connections come from the connect
 * service and are kept by the worker from session to session. What a policy server says is read by
 * policy_answer.c.
 */

#include "smtpd/policy.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "conf/param.h"
#include "net/endpoint.h"
#include "net/endpoint_connect.h"
#include "smtpd/auth.h"
#include "smtpd/policy_answer.h"
#include "tls/tls.h"

enum { REQUEST_BYTES = 16 * 1024 };

struct policy_server {
	struct policy_server *next;
	struct span argument, endpoint;
	const char *title; /* "198.51.100.20:10031": the endpoint without its type */

	/* smtpd_policy_service_*, or what the argument says instead */
	int timeout_s, retry_delay_s, max_idle_s, max_ttl_s, request_limit, try_limit;
	const char *default_action, *context;

	struct stream stream;
	bool is_open;
	int requests;
	struct clock_mono opened, used;
};

static struct policy_server *servers;

/* ---- the argument ---- */

static bool set_time(int *ret, struct span value)
{
	int64_t time_s;

	if (!conf_time_parse(value, 1, &time_s) || time_s < 1 || time_s > INT32_MAX)
		return false;
	*ret = (int)time_s;
	return true;
}

static bool set_count(int *ret, struct span value)
{
	uint64_t count;

	if (!span_u64(value, INT32_MAX, &count))
		return false;
	*ret = (int)count;
	return true;
}

static bool set_text(const char **ret, struct span value)
{
	*ret = mem_dup(value);
	return true;
}

static bool set_option(struct policy_server *server, struct span name, struct span value)
{
	if (span_is(name, "timeout"))
		return set_time(&server->timeout_s, value);
	if (span_is(name, "retry_delay"))
		return set_time(&server->retry_delay_s, value);
	if (span_is(name, "max_idle"))
		return set_time(&server->max_idle_s, value);
	if (span_is(name, "max_ttl"))
		return set_time(&server->max_ttl_s, value);
	if (span_is(name, "request_limit"))
		return set_count(&server->request_limit, value);
	if (span_is(name, "try_limit"))
		return set_count(&server->try_limit, value);
	if (span_is(name, "default_action"))
		return set_text(&server->default_action, value);
	if (span_is(name, "policy_context"))
		return set_text(&server->context, value);
	return false;
}

static bool set_options(struct policy_server *server, struct span options, struct buf *error)
{
	struct span item, name, value;

	while ((item = restriction_word(&options)).n > 0) {
		if (span_cut(item, '=', &name, &value) &&
		    set_option(server, span_trim(name), span_trim(value)))
			continue;
		(void)buf_printf(error, "bad option of a policy service: %.*s", SPAN_ARG(item));
		return false;
	}
	return true;
}

struct policy_server *policy_server_known(struct span argument)
{
	struct policy_server *server = servers;

	while (server != NULL && !span_eq(server->argument, argument))
		server = server->next;
	return server;
}

struct policy_server *policy_server_find(struct span argument, struct buf *ret_error)
{
	struct policy_server *server = policy_server_known(argument);
	struct span rest, text;
	struct endpoint endpoint;

	if (server != NULL)
		return server;
	server = NEW(struct policy_server);
	rest = server->argument = span_of(mem_dup(argument));
	text = server->endpoint = restriction_word(&rest);
	server->title = mem_dup(span_from(text, strlen("inet:")));
	server->timeout_s = conf->smtpd_policy_service_timeout;
	server->retry_delay_s = conf->smtpd_policy_service_retry_delay;
	server->max_idle_s = conf->smtpd_policy_service_max_idle;
	server->max_ttl_s = conf->smtpd_policy_service_max_ttl;
	server->request_limit = conf->smtpd_policy_service_request_limit;
	server->try_limit = conf->smtpd_policy_service_try_limit;
	server->default_action = conf->smtpd_policy_service_default_action;
	server->context = conf->smtpd_policy_service_policy_context;
	if (!endpoint_parse(text, &endpoint)) {
		(void)buf_printf(ret_error, "no address of a policy service: %.*s", SPAN_ARG(text));
		return NULL;
	}
	if (!set_options(server, rest, ret_error))
		return NULL;
	server->next = servers;
	servers = server;
	return server;
}

/* ---- the request ---- */

static void add(struct buf *out, const char *name, struct span value)
{
	(void)buf_printf(out, "%s=", name);
	/* A line end would begin another attribute. */
	for (size_t i = 0; i < value.n; i++)
		(void)buf_char(out, (unsigned char)value.p[i] < ' ' ? '?' : value.p[i]);
	(void)buf_char(out, '\n');
}

static void add_number(struct buf *out, const char *name, unsigned long long value)
{
	(void)buf_printf(out, "%s=%llu\n", name, value);
}

/* The protocol_state: what the log calls END-OF-MESSAGE is called so here as well. */
static void add_client(struct buf *out, const struct check *check)
{
	const struct session *s = check->session;
	const struct peer *peer = &s->peer;

	add(out, "request", SPAN("smtpd_access_policy"));
	add(out, "protocol_state", span_of(check->verb));
	add(out, "protocol_name", span_of(s->protocol != NULL ? s->protocol : "SMTP"));
	add(out, "client_address", span_of(peer->addr));
	add(out, "client_name", span_of(peer->name));
	add(out, "client_port", span_of(peer->port));
	add(out, "reverse_client_name", span_of(peer->reverse_name));
	add(out, "server_address", span_of(peer->server_addr));
	add(out, "server_port", span_of(peer->server_port));
	add(out, "helo_name", buf_span(&s->helo));
}

static void add_mail(struct buf *out, const struct check *check)
{
	const struct session *s = check->session;
	const struct transaction *mail = &s->mail;
	bool is_end = check->stage == STAGE_END_OF_DATA;

	add(out, "sender", mail->mail.sender);
	add(out, "recipient", check_rcpt_of(check));
	add_number(out, "recipient_count", check->is_data ? mail->rcpt_count : 0);
	add(out, "queue_id", span_of(mail->was_logged ? s->queue_id : ""));
	(void)buf_printf(out, "instance=%x.%llx.%x\n", (unsigned)getpid(),
			 (unsigned long long)s->started.us, s->transactions);
	add_number(out, "size", is_end ? mail->content_bytes : mail->mail.size_bytes);
	add(out, "etrn_domain", check->etrn_domain);
	add(out, "stress", span_of(s->is_stressed ? "yes" : ""));
}

static void add_login(struct buf *out, const struct session *s)
{
	bool is_in = s->login.length > 0;

	add(out, "sasl_method", span_of(is_in ? s->login_method : ""));
	add(out, "sasl_username", auth_user(s));
	add(out, "sasl_sender", is_in ? s->mail.mail.auth : SPAN(""));
}

/* Names are shown when an authority vouches for them; fingerprints speak for themselves. */
static void add_tls(struct buf *out, const struct session *s)
{
	static const struct tls_info none = { .protocol = "", .cipher = "", .subject = "", .issuer = "",
					      .fingerprint = "", .key_fingerprint = "" };
	const struct tls_info *info = s->tls != NULL ? tls_info(s->tls) : &none;

	add(out, "ccert_subject", span_of(info->is_trusted ? info->subject : ""));
	add(out, "ccert_issuer", span_of(info->is_trusted ? info->issuer : ""));
	add(out, "ccert_fingerprint", span_of(info->fingerprint));
	add(out, "ccert_pubkey_fingerprint", span_of(info->key_fingerprint));
	add(out, "encryption_protocol", span_of(info->protocol));
	add(out, "encryption_cipher", span_of(info->cipher));
	add_number(out, "encryption_keysize", (unsigned)info->bits);
}

static void write_request(struct buf *out, const struct check *check,
			  const struct policy_server *server)
{
	add_client(out, check);
	add_mail(out, check);
	add_login(out, check->session);
	add_tls(out, check->session);
	add(out, "policy_context", span_of(server->context));
	add(out, "compatibility_level", span_of(conf->compatibility_level));
	add(out, "mail_version", span_of(conf->mail_version));
	(void)buf_char(out, '\n');
}

/* ---- the exchange ---- */

static void hang_up(struct policy_server *server)
{
	if (server->is_open)
		stream_close(&server->stream);
	server->is_open = false;
}

static bool is_worn_out(struct policy_server *server)
{
	return clock_is_past(clock_add_ms(server->used, (int64_t)server->max_idle_s * 1000)) ||
	       clock_is_past(clock_add_ms(server->opened, (int64_t)server->max_ttl_s * 1000)) ||
	       (server->request_limit > 0 && server->requests >= server->request_limit) ||
	       !stream_is_quiet(&server->stream);
}

static bool open_stream(struct policy_server *server, struct buf *problem)
{
	struct clock_mono deadline = clock_in_ms((int64_t)server->timeout_s * 1000);
	int fd;

	if (server->is_open && is_worn_out(server))
		hang_up(server);
	if (!server->is_open) {
		fd = endpoint_connect(server->endpoint, 0, deadline, problem);
		if (fd < 0)
			return false;
		stream_open(&server->stream, fd);
		server->is_open = true;
		server->requests = 0;
		server->opened = clock_mono_now();
	}
	stream_set_deadline(&server->stream, deadline);
	return true;
}

/* Lines up to an empty one; the value of "action" is kept. */
static bool read_answer(struct policy_server *server, struct buf *action, struct buf *problem)
{
	struct policy_answer answer = { .action = action };
	enum policy_step step = POLICY_MORE;
	struct span line;

	while (step == POLICY_MORE) {
		enum io_status status =
			stream_line(&server->stream, POLICY_ANSWER_LINE_MAX, &line, NULL);

		if (status != IO_OK) {
			(void)buf_text(problem, status == IO_TIMEOUT ? "Connection timed out"
						: status == IO_EOF   ? "Connection closed"
								     : "Connection lost");
			return false;
		}
		step = policy_answer_line(&answer, line);
	}
	if (step == POLICY_MALFORMED)
		(void)buf_text(problem, "malformed answer");
	return step == POLICY_DONE;
}

static bool exchange(struct policy_server *server, struct span request, struct buf *action,
		     struct buf *problem)
{
	if (!open_stream(server, problem))
		return false;
	stream_write(&server->stream, request);
	if (stream_flush(&server->stream) != IO_OK)
		(void)buf_text(problem, "Connection lost");
	else if (read_answer(server, action, problem)) {
		server->requests++;
		server->used = clock_mono_now();
		return true;
	}
	hang_up(server);
	return false;
}

/* Asks, again when it fails; the action of last resort is the default. */
static void ask(struct policy_server *server, struct span request, struct buf *action)
{
	struct timespec pause = { .tv_sec = server->retry_delay_s };
	struct buf problem = BUF_INIT(1000);

	for (int tries = 1; !exchange(server, request, action, &problem); tries++) {
		log_warn("problem talking to server %s: %s", server->title, buf_str(&problem));
		buf_reset(&problem);
		if (tries >= server->try_limit) {
			(void)buf_set(action, span_of(server->default_action));
			break;
		}
		(void)nanosleep(&pause, NULL);
	}
	buf_done(&problem);
}

enum verdict check_policy_service(struct check *check, const struct restriction *restriction)
{
	struct policy_server *server = restriction->policy;
	struct buf request = BUF_INIT(REQUEST_BYTES), action = BUF_INIT(POLICY_ANSWER_LINE_MAX);
	enum verdict verdict;

	write_request(&request, check, server);
	ask(server, buf_span(&request), &action);
	verdict = access_action(check, restriction_subject(check), buf_span(&action),
				server->title);
	buf_done(&request);
	buf_done(&action);
	return verdict;
}
