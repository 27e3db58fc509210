/* SPDX-License-Identifier: MIT */
/* Access tokens for OAUTHBEARER and XOAUTH2, from the service "oauth": see ipc/oauth.h, policyfetch(8). */

#include "smtp.h"

#include "base/log.h"
#include "ipc/channel.h"
#include "ipc/oauth.h"
#include "proc/service.h"

enum { CONNECT_MS = 10 * 1000, GRACE_MS = 5 * 1000 };

/* The answer, or word that it will come, is there soon. */
static bool receive(struct ipc_channel *channel, struct msg_token_answer *ret)
{
	struct msg_token_wait wait;

	if (ipc_recv(channel, service_first_answer()) != IPC_OK)
		return false;
	if (IPC_GET(channel, token_wait, &wait))
		return IPC_EXPECT(channel, token_answer, ret,
				  clock_in_ms(OAUTH_FETCH_MS + GRACE_MS)) == IPC_OK;
	return IPC_GET(channel, token_answer, ret);
}

bool token_find(struct arena *arena, struct span account, struct span refused,
		struct span *ret_token, struct span *ret_reason)
{
	struct msg_token_query query = { .account = account, .refused = refused };
	struct msg_token_answer answer = { .until_s = 0 };
	struct ipc_channel channel;
	int fd = service_connect("oauth", clock_in_ms(CONNECT_MS));
	bool is_answered;

	*ret_reason = SPAN("the service that has it does not answer");
	if (fd < 0)
		return false;
	ipc_attach(&channel, fd);
	is_answered = IPC_SEND(&channel, token_query, &query, -1, clock_in_ms(CONNECT_MS)) == IPC_OK &&
		      receive(&channel, &answer);
	if (is_answered && answer.token.n > 0)
		*ret_token = arena_span(arena, answer.token);
	else if (is_answered)
		*ret_reason = arena_span(arena, answer.reason);
	ipc_close(&channel);
	return is_answered && answer.token.n > 0;
}
