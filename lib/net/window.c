/* SPDX-License-Identifier: MIT */
/* TCP windows; see window.h. Runs in master, smtp and lmtp. */

#include "net/window.h"

#include <sys/socket.h>

void window_set(int fd, int bytes)
{
	if (bytes <= 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}
