/* SPDX-License-Identifier: MIT */
/*
 * postern oauth: whether an account of smtp_sasl_oauth_file has an access token, by the service that smtp
 * asks. The token itself is not shown. The socket is root's.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "commands/postern/postern.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/oauth.h"

enum { CONNECT_MS = 10000, GRACE_MS = 5000 };

static bool ask(struct ipc_channel *channel, struct span account, struct msg_token_answer *ret)
{
	struct msg_token_query query = { .account = account };
	struct msg_token_wait wait;

	if (IPC_SEND(channel, token_query, &query, -1, clock_in_ms(CONNECT_MS)) != IPC_OK ||
	    ipc_recv(channel, clock_in_ms(CONNECT_MS)) != IPC_OK)
		return false;
	if (IPC_GET(channel, token_wait, &wait))
		return IPC_EXPECT(channel, token_answer, ret,
				  clock_in_ms(OAUTH_FETCH_MS + GRACE_MS)) == IPC_OK;
	return IPC_GET(channel, token_answer, ret);
}

static int show(struct span account, const struct msg_token_answer *answer)
{
	char when[64] = "";
	struct tm tm;

	if (answer->token.n == 0) {
		log_error("%.*s: %s", SPAN_ARG(account), log_clean(answer->reason));
		return 1;
	}
	if (answer->until_s > 0)
		(void)strftime(when, sizeof(when), " until %Y-%m-%d %H:%M:%S",
			       localtime_r(&(time_t){ (time_t)answer->until_s }, &tm));
	(void)printf("%.*s has an access token%s\n", SPAN_ARG(account), when);
	return 0;
}

int do_oauth(int argc, char **argv)
{
	struct span account = span_of(argc > 1 ? argv[1] : "");
	struct msg_token_answer answer;
	struct ipc_channel channel;
	char *path;
	int status = 1;

	if (argc != 2) {
		(void)fprintf(stderr, "usage: postern oauth ACCOUNT\n");
		return 1;
	}
	path = mem_printf("%s/private/oauth", conf->queue_directory);
	ipc_attach(&channel, ipc_connect_path(path, clock_in_ms(CONNECT_MS)));
	if (ipc_is_open(&channel) && ask(&channel, account, &answer))
		status = show(account, &answer);
	else
		log_error("cannot talk to the oauth service: %s", strerror(errno));
	ipc_close(&channel);
	free(path);
	return status;
}
