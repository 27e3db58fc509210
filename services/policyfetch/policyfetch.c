/* SPDX-License-Identifier: MIT */
/*
 * policyfetch: the one program of the mail system that speaks HTTPS. It fetches MTA-STS policies
 * (RFC 8461) for smtp and keeps them; and, as the service "oauth", access tokens for relays (RFC 6749).
 *
 * Workers run as uid net in a directory of their own, where they can write to one directory in it.
 * They open internet connections and ask dns; authorities are read before the jail. Clients are
 * trusted in what they ask for, within the limits of messages and the table below; servers in
 * nothing. Manual: policyfetch(8).
 */

#include "services/policyfetch/policyfetch.h"

#include <string.h>

#include "base/log.h"
#include "proc/service.h"
#include "services/policyfetch/https.h"

enum { IDLE_MS = 10 * 1000, CLIENTS_MAX = 4 };

/* Large enough for each decoded request. */
union request {
	struct msg_sts_query sts_query;
	struct msg_report_post report_post;
	struct msg_token_query token_query;
};

/* Who may ask for what. */
static const struct kind {
	bool is_oauth;                    /* which of the two services answers */
	const struct ipc_desc *(*desc)(void);
	handler_fn *handle;
	const char *clients[CLIENTS_MAX]; /* programs */
} kinds[] = {
	{ false, msg_sts_query_desc, sts_handle, { "smtp" } },
	{ false, msg_report_post_desc, report_handle, { "tlsrpt" } },
	{ true, msg_token_query_desc, oauth_handle, { "smtp", "lmtp", SERVICE_PUBLIC } },
};

static bool is_oauth(void)
{
	return strcmp(service.name, "oauth") == 0;
}

static bool may_ask(const struct kind *kind, const char *client)
{
	if (kind->is_oauth != is_oauth())
		return false;
	for (size_t i = 0; i < CLIENTS_MAX && kind->clients[i] != NULL; i++)
		if (strcmp(kind->clients[i], client) == 0)
			return true;
	return false;
}

static bool handle(struct ipc_channel *channel, const char *client)
{
	union request request;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (may_ask(&kinds[i], client) && ipc_get(channel, kinds[i].desc(), &request))
			return kinds[i].handle(channel, &request);
	log_warn("%s asks for what it may not have, or not so", client);
	return false;
}

static void serve(int fd, const char *client)
{
	struct ipc_channel channel;

	ipc_attach(&channel, fd);
	while (service_wait(channel.fd, clock_in_ms(IDLE_MS)) &&
	       ipc_recv(&channel, clock_in_ms(0)) == IPC_OK && handle(&channel, client))
		;
	ipc_close(&channel);
}

static void prepare(void)
{
	bool speaks_https = true;

	if (is_oauth())
		speaks_https = oauth_prepare();
	else
		sts_prepare();
	/* To read all authorities takes longer than all else in the start of this program. */
	if (speaks_https)
		https_prepare();
}

static void start(void)
{
	if (is_oauth())
		oauth_start();
	else
		sts_start();
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "policyfetch",
		.kind = SERVICE_WORKERS,
		.prepare = prepare,
		.start = start,
		.serve = serve,
	};

	return service_main(argc, argv, &program);
}
