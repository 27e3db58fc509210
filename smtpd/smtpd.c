/* SPDX-License-Identifier: MIT */
/*
 * smtpd: receives mail over SMTP. A worker takes one connection at a time: it reads commands,
 * asks the restrictions, and streams each message to cleanup.
 *
 * Runs as uid net in a directory that holds nothing but the sockets of the services it may
 * call, and can open no file. Everything it reads from the network is hostile. Implements RFC 5321, 1870,
 * 2920, 3030, 3207, 3461, 4954, 6152, 6531, 1985. Manual: smtpd(8).
 */

#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "conf/conf.h"
#include "net/dns_filter.h"
#include "proc/debug_peer.h"
#include "proc/pass.h"
#include "proc/service.h"
#include "smtpd/auth.h"
#include "smtpd/check.h"
#include "smtpd/space.h"
#include "smtpd/tls.h"

enum { CONTENT_MAX = 64 * 1024, WORDS_MAX = 16 * 1024 };

/* One for the worker's life: its buffers are kept from session to session. */
static struct session session;

static void prepare(void)
{
	tables_open();
	auth_prepare();
	session_tls_prepare();
	space_prepare(service.queue_directory);
	limits_prepare();
}

static void worker_start(void)
{
	buf_init(&session.helo, 1024);
	buf_init(&session.login, 1024);
	buf_init(&session.reply, 4096);
	buf_init(&session.words, WORDS_MAX);
	buf_init(&session.content, CONTENT_MAX);
	lookup_init(&session.lookup, false);
	ipc_attach(&session.cleanup, -1);
	ipc_attach(&session.front, -1);
}

static void start_session(struct session *s, int fd)
{
	stream_reopen(&s->stream, fd);
	buf_reset(&s->helo);
	buf_reset(&s->login);
	s->said_size = 0;
	s->is_esmtp = s->may_pipeline = s->must_close = false;
	s->has_chunking = true;
	s->tls = NULL;
	s->is_tls_hidden = s->has_tls_warning = false;
	s->ext = SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_DSN;
	s->protocol = NULL;
	s->errors = s->junk = 0;
	s->exemption = EXEMPT_UNKNOWN;
	for (size_t i = 0; i < VERB_COUNT_MAX; i++)
		s->done[i] = s->tried[i] = 0;
	notice_begin(s);
	s->started = clock_wall_now();
	s->transactions = 0;
	session_reset_mail(s);
	handover_listen(s);
	s->is_stressed = s->offer.is_stressed;
	conf_set_stress(s->is_stressed);
	dns_use_filter(NULL); /* the client's own name is not filtered: restrictions are */
	peer_find(s);
	dns_filter_set(tables.dns_reply_filter);
	s->is_debugged = debug_peer_check(span_of(s->peer.name), span_of(s->peer.addr));
}

/* What the client hears when this process cannot go on. */
static void farewell(void)
{
	reply_quietly(&session, "421 4.3.0 %s Error: internal error", conf->myhostname);
	(void)stream_flush(&session.stream);
	stream_close_layer(&session.stream);
}

/* The client's socket, from who accepted it; or -1. */
static int take_passed(int connection, struct passed *passed)
{
	const char *problem;
	int fd = pass_take(connection, passed, &problem);

	if (fd < 0)
		log_warn("service %s: %s", service.name, problem);
	session.offer.client_addr = passed->client_addr;
	session.offer.client_port = passed->client_port;
	session.offer.server_addr = passed->server_addr;
	session.offer.server_port = passed->server_port;
	return fd;
}

/*
 * A client comes through the front; in a service without one directly (type unix), or passed by
 * another process (type pass). Without the front nobody counts the connections of one client.
 */
static void serve(int fd, const char *client)
{
	struct passed passed = { 0 };

	session.offer = (struct msg_front_offer){ .is_stressed = service_is_stressed() };
	if (strcmp(client, "front") == 0)
		fd = handover_take(&session, fd);
	else if (strcmp(client, SERVICE_PASS) == 0)
		fd = take_passed(fd, &passed);
	if (fd >= 0)
		start_session(&session, fd);
	pass_done(&passed);
	if (fd < 0)
		return;
	log_on_fatal(farewell);
	session_run(&session);
	if (session.is_debugged)
		debug_peer_restore();
	log_on_fatal(NULL);
	stream_close_layer(&session.stream);
	session.tls = NULL;
	/* The front has a copy of the socket: closing ours would not tell the client. */
	(void)shutdown(fd, SHUT_WR);
	stream_hangup(&session.stream);
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "smtpd",
		.kind = SERVICE_WORKERS,
		.prepare = prepare,
		.start = session_tls_start,
		.worker_start = worker_start,
		.serve = serve,
	};

	return service_main(argc, argv, &program);
}
