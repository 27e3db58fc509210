/* SPDX-License-Identifier: MIT */
/*
 * keysign: holds the private keys of TLS, and signs for smtpd and smtp, which have none; gives out
 * the certificates that go with them, and the keys of session tickets. A text to sign comes whole, and must be
 * what a TLS handshake signs; nothing is ever decrypted.
 *
 * One process with an event loop, as uid secret in a directory without a file. Files are opened by a
 * small root process beside it (opener.c), and only those that the configuration names. It trusts the administrator's
 * files; what smtpd and smtp say may come from whoever has taken them over. Manual: keysign(8).
 */

#include "keysign.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/event.h"
#include "base/log.h"
#include "base/mem.h"
#include "proc/service.h"
#include "table/table.h"
#include "ipc/table_client.h"

struct client {
	struct event_fd watch;
	struct ipc_channel channel;
	enum tls_role role;
};

static void client_close(struct client *client)
{
	event_unwatch(&client->watch);
	ipc_close(&client->channel);
	free(client);
}

static bool answer_sign(struct client *client, const struct msg_sign_request *request)
{
	struct buf signature = BUF_INIT(2048), error = BUF_INIT(1000);
	struct msg_sign_answer answer = { .signature = { NULL, 0 } };
	bool is_sent;

	if (sets_sign(request, client->role, &signature, &error))
		answer.signature = buf_span(&signature);
	answer.error = buf_span(&error);
	is_sent = IPC_SEND(&client->channel, sign_answer, &answer, -1, clock_in_ms(0)) == IPC_OK;
	buf_done(&signature);
	buf_done(&error);
	return is_sent;
}

static void on_readable(struct event_fd *watch, unsigned events)
{
	struct client *client = CONTAINER_OF(watch, struct client, watch);
	struct msg_tls_request question;
	struct msg_sign_request request;
	enum ipc_status status = ipc_recv(&client->channel, clock_in_ms(0));
	bool is_good = false;

	(void)events;
	if (status == IPC_TIMEOUT)
		return;
	if (status == IPC_OK && IPC_GET(&client->channel, tls_request, &question))
		sets_answer(&question, client->role, &client->channel, &is_good);
	else if (status == IPC_OK && IPC_GET(&client->channel, sign_request, &request))
		is_good = answer_sign(client, &request);
	else if (status != IPC_CLOSED)
		log_warn("malformed request from a client");
	if (!is_good)
		client_close(client);
}

/* smtpd is a server and nothing else, smtp and lmtp are clients. */
static void on_connection(int fd, const char *name)
{
	struct client *client = NEW(struct client);

	client->role = strcmp(name, "smtpd") == 0 ? TLS_SERVER : TLS_CLIENT;
	ipc_attach(&client->channel, fd);
	event_watch(&client->watch, fd, EPOLLIN, on_readable);
}

static void prepare(void)
{
	struct buf error = BUF_INIT(4000);
	struct span rest, line;

	if (!tls_library_open(&error))
		fatal("%s", buf_str(&error));
	/* Once, and not by each process that speaks TLS. */
	tls_options_check(&error);
	rest = buf_span(&error);
	while (span_line(&rest, &line))
		log_warn("%s", log_clean(line));
	buf_done(&error);
	table_register_databases();
	table_client_settings(NULL);
	sets_prepare();
	if (opener_count() > 0)
		opener_start();
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "keysign",
		.kind = SERVICE_LOOP,
		.prepare = prepare,
		.start = sets_start,
		.on_connection = on_connection,
	};

	return service_main(argc, argv, &program);
}
