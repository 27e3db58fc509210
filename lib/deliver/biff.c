/* SPDX-License-Identifier: MIT */
/* News of mail for comsat(8); see biff.h. Runs as the user whose mailbox it is. */

#include "deliver/biff.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BIFF_PORT = 512 };

void biff_notify(const char *user, int64_t offset)
{
	struct sockaddr_in comsat = { .sin_family = AF_INET,
				      .sin_port = htons(BIFF_PORT),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	char text[300];
	int size = snprintf(text, sizeof(text), "%s@%" PRId64, user, offset);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (size > 0 && size < (int)sizeof(text))
		(void)!sendto(fd, text, (size_t)size + 1, MSG_DONTWAIT,
			      (struct sockaddr *)&comsat, sizeof(comsat));
	(void)close(fd);
}
