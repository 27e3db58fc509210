/* SPDX-License-Identifier: MIT */
/*
 * The attributes of a connection that another process passes to a service of type pass: by themselves, and
 * with a descriptor over a socket, from a peer that hangs up afterwards.
 */

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ip.h"
#include "proc/pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send_descriptor(int connection, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec io = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		*CMSG_FIRSTHDR(&message) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
							     .cmsg_len = CMSG_LEN(sizeof(fd)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof(fd));
	}
	if (sendmsg(connection, &message, 0) != 1)
		abort();
}

/*
 * What is passed is what was parsed, in whatever parts it comes; without a descriptor nothing is. What stands
 * behind the list may not have been read.
 */
static void check_taken(struct span text, bool has_descriptor, const struct passed *expected)
{
	struct passed passed;
	const char *problem;
	int pair[2], fd;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	send_descriptor(pair[0], has_descriptor ? pair[0] : -1);
	if (send(pair[0], text.p, text.n, 0) != (ssize_t)text.n || shutdown(pair[0], SHUT_WR) < 0)
		abort();
	fd = pass_take(pair[1], &passed, &problem);
	if ((fd >= 0) != (problem == NULL) || (fd < 0 && expected != NULL) || (fd >= 0 && !has_descriptor))
		abort();
	if (fd >= 0 && expected != NULL && (!span_eq(passed.client_addr, expected->client_addr) ||
			!span_eq(passed.server_port, expected->server_port) ||
			(fcntl(fd, F_GETFL) & O_NONBLOCK) == 0))
		abort();
	if (fd >= 0)
		(void)close(fd);
	pass_done(&passed);
	(void)close(pair[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct passed passed = { 0 };
	struct span text = { (const char *)data, size };
	struct ip_addr addr;
	bool is_good;

	if (size >= PASS_BYTES_MAX)
		return 0;
	is_good = pass_parse(text, &passed);
	check_taken(text, true, is_good ? &passed : NULL);
	check_taken(text, false, NULL);
	if (!is_good)
		return 0;
	if (passed.client_addr.n > 0 &&
	    (!ip_parse(passed.client_addr, &addr) || !ip_parse(passed.server_addr, &addr)))
		abort();
	return 0;
}
