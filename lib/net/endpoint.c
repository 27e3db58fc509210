/* SPDX-License-Identifier: MIT */
/* Configured servers, from the side of those who want to talk to them; see endpoint.h. */

#include "net/endpoint.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "ipc/channel.h"
#include "proc/service.h"

/* How much longer than the service the asker waits, so that its answer gets here. */
enum { GRACE_MS = 500 };

bool endpoint_parse(struct span text, struct endpoint *ret)
{
	struct span kind, rest;
	size_t colon;

	if (!span_cut(text, ':', &kind, &rest) || rest.n == 0)
		return false;
	*ret = (struct endpoint){ .is_dgram = span_starts(text, SPAN(ENDPOINT_DGRAM)) };
	ret->is_unix = ret->is_dgram || span_is(kind, "unix");
	if (ret->is_unix) {
		ret->path = rest;
		return true;
	}
	if (!span_is(kind, "inet"))
		return false;
	for (colon = rest.n; colon > 0 && rest.p[colon - 1] != ':'; colon--)
		;
	if (colon == 0)
		return false;
	ret->host = span_first(rest, colon - 1);
	ret->port = span_from(rest, colon);
	if (ret->host.n > 2 && ret->host.p[0] == '[' && ret->host.p[ret->host.n - 1] == ']')
		ret->host = span_first(span_from(ret->host, 1), ret->host.n - 2);
	return ret->host.n > 0 && ret->port.n > 0;
}

char *endpoint_of_path(const char *text)
{
	bool has_kind = span_starts(span_of(text), SPAN("inet:")) ||
			span_starts(span_of(text), SPAN("unix:"));

	return has_kind ? mem_dup_str(text) : mem_printf("unix:%s", text);
}

static int ask(struct ipc_channel *channel, struct span text, uint64_t seal,
	       struct clock_mono deadline, struct buf *ret_reason)
{
	struct msg_connect_request request = { .endpoint = text,
					       .seal = seal,
					       .timeout_ms = (uint32_t)clock_poll_ms(deadline) };
	struct msg_status status;
	struct clock_mono until = clock_add_ms(deadline, GRACE_MS);
	int fd;

	if (IPC_SEND(channel, connect_request, &request, -1, until) != IPC_OK ||
	    IPC_EXPECT(channel, status, &status, until) != IPC_OK) {
		(void)buf_text(ret_reason, "the connect service does not answer");
		return -1;
	}
	fd = ipc_take_fd(channel);
	if (status.code == 0 && fd >= 0)
		return fd;
	(void)buf_add(ret_reason, status.text);
	return -1;
}

int endpoint_connect(struct span text, uint64_t seal, struct clock_mono deadline,
		     struct buf *ret_reason)
{
	struct ipc_channel channel;
	int fd = service_connect("connect", deadline);

	if (fd < 0) {
		(void)buf_printf(ret_reason, "cannot reach the connect service: %s", strerror(errno));
		return -1;
	}
	ipc_attach(&channel, fd);
	fd = ask(&channel, text, seal, deadline, ret_reason);
	ipc_close(&channel);
	return fd;
}

struct siphash_key endpoint_seal_key(struct span secret)
{
	static const struct siphash_key first = { 5, 6 }, second = { 7, 8 };

	return (struct siphash_key){ siphash(&first, secret), siphash(&second, secret) };
}

uint64_t endpoint_seal(const struct siphash_key *key, struct span text)
{
	return siphash(key, text);
}
