/* SPDX-License-Identifier: MIT */
/*
 * Receiving a connection that another process accepted; see pass.h. Runs in the jail of the
 * service. Who may connect is decided by the permissions of the socket; the form is checked here.
 */

#include "proc/pass.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ip.h"

enum { PASS_MS = 5000 };

static bool wait_readable(int fd, struct clock_mono deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int ready;

	do {
		ready = poll(&p, 1, clock_poll_ms(deadline));
	} while (ready < 0 && errno == EINTR);
	return ready > 0;
}

/* The descriptor that came with a message; more than one, or none, is -1. */
static int descriptor_of(struct msghdr *message)
{
	const struct cmsghdr *header = CMSG_FIRSTHDR(message);
	int fd;

	if (header == NULL || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
	    header->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -1;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* The byte with the descriptor. The control buffer has room for one: the kernel closes others. */
static int receive_descriptor(int connection, struct clock_mono deadline)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec io = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	if (!wait_readable(connection, deadline) ||
	    recvmsg(connection, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1)
		return -1;
	return descriptor_of(&message);
}

/* Whether the empty name is there; an empty value is not the end, wherever the bytes come in parts. */
static bool ends_list(struct span text)
{
	struct span name, value;

	while (span_cut(text, '\0', &name, &text)) {
		if (name.n == 0)
			return true;
		if (!span_cut(text, '\0', &value, &text))
			return false;
	}
	return false;
}

/* Up to the empty name that ends the list. */
static bool receive_attributes(int connection, struct buf *text, struct clock_mono deadline)
{
	char part[256];
	ssize_t size;

	while (!ends_list(buf_span(text))) {
		if (!wait_readable(connection, deadline))
			return false;
		size = recv(connection, part, sizeof(part), MSG_DONTWAIT);
		if (size < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (size <= 0 || !buf_append(text, part, (size_t)size))
			return false;
	}
	return true;
}

static bool is_address(struct span text)
{
	struct ip_addr addr;

	return ip_parse(text, &addr);
}

static bool is_port(struct span text)
{
	uint64_t number;

	return span_u64(text, 65535, &number);
}

bool pass_parse(struct span text, struct passed *ret)
{
	struct span name, value, rest = text;
	struct {
		const char *name;
		struct span *value;
	} wanted[] = {
		{ "client_address", &ret->client_addr }, { "client_port", &ret->client_port },
		{ "server_address", &ret->server_addr }, { "server_port", &ret->server_port },
	};

	ret->client_addr = ret->client_port = ret->server_addr = ret->server_port = SPAN("");
	for (;;) {
		if (!span_cut(rest, '\0', &name, &rest))
			return false;
		if (name.n == 0)
			break;
		if (!span_cut(rest, '\0', &value, &rest))
			return false;
		for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
			if (span_is(name, wanted[i].name))
				*wanted[i].value = value;
	}
	if (rest.n > 0)
		return false;
	if (ret->client_addr.n + ret->client_port.n + ret->server_addr.n + ret->server_port.n == 0)
		return true;
	return is_address(ret->client_addr) && is_port(ret->client_port) &&
	       is_address(ret->server_addr) && is_port(ret->server_port);
}

int pass_take(int connection, struct passed *ret, const char **ret_problem)
{
	struct clock_mono deadline = clock_in_ms(PASS_MS);
	int fd = receive_descriptor(connection, deadline);

	*ret = (struct passed){ .text = BUF_INIT(PASS_BYTES_MAX) };
	*ret_problem = NULL;
	if (fd < 0)
		*ret_problem = "no connection was passed";
	else if (!receive_attributes(connection, &ret->text, deadline))
		*ret_problem = "the attributes of a connection have no end";
	else if (!pass_parse(buf_span(&ret->text), ret))
		*ret_problem = "bad attributes of a connection";
	(void)close(connection);
	/* As what accept4(2) gives elsewhere; streams wait in poll(2). */
	if (*ret_problem == NULL && fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0)
		return fd;
	if (*ret_problem == NULL)
		*ret_problem = "what was passed is no connection";
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

void pass_done(struct passed *passed)
{
	buf_done(&passed->text);
}
