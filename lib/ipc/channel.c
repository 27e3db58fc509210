/* SPDX-License-Identifier: MIT */
/* Messages over SEQPACKET sockets; see channel.h. Runs in every process. */

#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { KEEP_BYTES = 64 * 1024 };

void ipc_attach(struct ipc_channel *channel, int fd)
{
	channel->fd = fd;
	channel->passed_fd = -1;
	channel->receive_limit_ms = 0;
	buf_init(&channel->in, IPC_PACKET_MAX);
	buf_init(&channel->out, IPC_PACKET_MAX);
}

void ipc_close(struct ipc_channel *channel)
{
	if (channel->fd >= 0)
		(void)close(channel->fd);
	if (channel->fd >= 0 && channel->passed_fd >= 0)
		(void)close(channel->passed_fd);
	channel->fd = channel->passed_fd = -1;
	buf_done(&channel->in);
	buf_done(&channel->out);
}

void ipc_rest(struct ipc_channel *channel)
{
	buf_done(&channel->in);
	buf_done(&channel->out);
}

bool ipc_is_open(const struct ipc_channel *channel)
{
	return channel->fd >= 0;
}

/* Whether there was room for a packet before the deadline. */
static bool wait_for_room(int fd, struct clock_mono deadline)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		int ready = poll(&p, 1, clock_poll_ms(deadline));

		if (ready > 0)
			return true;
		if (ready == 0 || errno != EINTR)
			return false;
	}
}

static enum ipc_status send_packet(int fd, struct span packet, int pass_fd, struct clock_mono deadline)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char *data = (char *)(uintptr_t)packet.p;
	struct iovec io = { .iov_base = data, .iov_len = packet.n };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };

	if (pass_fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &pass_fd, sizeof(int));
	}
	for (;;) {
		if (sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return IPC_OK;
		if (errno == EINTR)
			continue;
		if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
			return IPC_CLOSED;
		if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
			return IPC_BROKEN;
		if (!wait_for_room(fd, deadline))
			return IPC_TIMEOUT;
	}
}

enum ipc_status ipc_send(struct ipc_channel *channel, const struct ipc_desc *desc,
			 const void *message, int pass_fd, struct clock_mono deadline)
{
	if (channel->fd < 0)
		return IPC_CLOSED;
	buf_shrink(&channel->out, KEEP_BYTES);
	if (!ipc_encode(&channel->out, desc, message)) {
		errno = EMSGSIZE;
		return IPC_BROKEN;
	}
	return send_packet(channel->fd, buf_span(&channel->out), pass_fd, deadline);
}

static void drop_passed(struct ipc_channel *channel)
{
	int fd = ipc_take_fd(channel);

	if (fd >= 0)
		(void)close(fd);
}

/* Keeps the first descriptor of the packet and closes the others. */
static void keep_passed(struct ipc_channel *channel, struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;

		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (channel->passed_fd < 0)
				channel->passed_fd = fd;
			else
				(void)close(fd);
		}
	}
}

/*
 * Whether recvmsg(2) would wait for about so long, as it was told. The limit may be up to a second
 * late: to change it takes a system call.
 */
static bool would_wait(const struct ipc_channel *channel, int limit_ms)
{
	int told_ms = channel->receive_limit_ms;

	return limit_ms < 0 ? told_ms < 0 : told_ms >= limit_ms && told_ms <= limit_ms + 1000;
}

static bool let_wait(struct ipc_channel *channel, int limit_ms)
{
	struct timeval limit = { 0 };

	if (limit_ms > 0)
		limit = (struct timeval){ limit_ms / 1000, limit_ms % 1000 * 1000 };
	if ((channel->receive_limit_ms == 0 && fcntl(channel->fd, F_SETFL, O_RDWR) < 0) ||
	    setsockopt(channel->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return false;
	channel->receive_limit_ms = limit_ms;
	return true;
}

/* One try. IPC_TIMEOUT: nothing has come (yet). */
static enum ipc_status receive(struct ipc_channel *channel, int flags)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct iovec io = { .iov_base = buf_room(&channel->in, IPC_PACKET_MAX),
			    .iov_len = IPC_PACKET_MAX };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1,
				  .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t size = recvmsg(channel->fd, &message, MSG_CMSG_CLOEXEC | flags);

	if (size == 0 || (size < 0 && errno == ECONNRESET))
		return IPC_CLOSED;
	if (size < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? IPC_TIMEOUT
										  : IPC_BROKEN;
	keep_passed(channel, &message);
	if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		drop_passed(channel);
		return IPC_BROKEN;
	}
	buf_grew(&channel->in, (size_t)size);
	return IPC_OK;
}

/* A packet that is waited for costs one system call when the kernel knows for how long, and not
 * three. */
enum ipc_status ipc_recv(struct ipc_channel *channel, struct clock_mono deadline)
{
	if (channel->fd < 0)
		return IPC_CLOSED;
	drop_passed(channel);
	buf_reset(&channel->in);
	for (bool is_second = false;; is_second = true) {
		int limit_ms = clock_poll_ms(deadline);
		bool waits = limit_ms != 0 && would_wait(channel, limit_ms);
		enum ipc_status status;

		if (is_second && limit_ms != 0 && !waits) {
			if (!let_wait(channel, limit_ms))
				return IPC_BROKEN;
			waits = true;
		}
		status = receive(channel, waits ? 0 : MSG_DONTWAIT);
		if (status != IPC_TIMEOUT || limit_ms == 0)
			return status;
	}
}

bool ipc_get(struct ipc_channel *channel, const struct ipc_desc *desc, void *ret_message)
{
	struct span rest = buf_span(&channel->in);
	_Alignas(max_align_t) char message[1024] NOT_CLEARED;

	if (desc->struct_size > sizeof(message) || !ipc_decode(&rest, desc, message) || rest.n != 0)
		return false;
	memcpy(ret_message, message, desc->struct_size);
	return true;
}

enum ipc_status ipc_expect(struct ipc_channel *channel, const struct ipc_desc *desc,
			   void *ret_message, struct clock_mono deadline)
{
	enum ipc_status status = ipc_recv(channel, deadline);

	if (status == IPC_OK && !ipc_get(channel, desc, ret_message))
		status = IPC_BROKEN;
	return status;
}

int ipc_take_fd(struct ipc_channel *channel)
{
	int fd = channel->passed_fd;

	channel->passed_fd = -1;
	return fd;
}

int ipc_connect_path(const char *path, struct clock_mono deadline)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);

	if (length >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, length);

	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno == EINTR)
			continue;
		/* A full backlog: nothing to wait on but the clock. */
		if (errno == EAGAIN && !clock_is_past(deadline)) {
			(void)poll(NULL, 0, 5);
			continue;
		}
		if (errno == EAGAIN)
			errno = ETIMEDOUT;

		int saved = errno;

		(void)close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}
