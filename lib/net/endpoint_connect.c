/* SPDX-License-Identifier: MIT */
/* Connections to configured servers, for those in a jail who want to talk to them; see endpoint_connect.h. */

#include "net/endpoint_connect.h"

#include <errno.h>
#include <string.h>

#include "ipc/channel.h"
#include "proc/service.h"

/* How much longer than the service the asker waits, so that its answer gets here. */
enum { GRACE_MS = 500 };

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
