/* SPDX-License-Identifier: MIT */
/*
 * The process that opens key files for keysign, again when they change: keys are often readable for
 * root alone. It runs as root with a filter, knows a list of names that was made before it was
 * forked, and takes one kind of request: a number. It reads nothing itself.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "keysign.h"
#include "proc/service.h"

enum { ANSWER_MS = 10000 };

static struct {
	char **paths;
	size_t count;
	struct ipc_channel channel;
} self;

size_t opener_add(struct span path)
{
	for (size_t i = 0; i < self.count; i++)
		if (span_is(path, self.paths[i]))
			return i;
	self.paths = mem_resize(self.paths, (self.count + 1) * sizeof(*self.paths));
	self.paths[self.count] = mem_dup(path);
	return self.count++;
}

const char *opener_path(size_t index)
{
	return self.paths[index];
}

size_t opener_count(void)
{
	return self.count;
}

static void open_one(uint32_t index)
{
	struct msg_status status = { .code = ENOENT };
	struct stat st;
	int fd = -1;

	if (index < self.count) {
		fd = open(self.paths[index], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		status.code = fd < 0 ? (uint32_t)errno : 0;
		/* What is no file could make the reader wait. */
		if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
			(void)close(fd);
			fd = -1;
			status.code = EINVAL;
		}
	}
	(void)!IPC_SEND(&self.channel, status, &status, fd, clock_in_ms(ANSWER_MS));
	if (fd >= 0)
		(void)close(fd);
}

NORETURN static void opener_main(int fd)
{
	struct msg_open_request request;

	for (int other = 0; other < 1024; other++)
		if (other != fd && other != log_fd())
			(void)close(other);
	ipc_attach(&self.channel, fd);
	service_confine(jail_find("keysign_opener"));
	while (IPC_EXPECT(&self.channel, open_request, &request, CLOCK_NEVER) == IPC_OK)
		open_one(request.index);
	_exit(0);
}

void opener_start(void)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		fatal("socketpair: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		fatal("fork: %s", strerror(errno));
	if (pid == 0)
		opener_main(pair[1]);
	(void)close(pair[1]);
	ipc_attach(&self.channel, pair[0]);
}

/* ---- keysign's side ---- */

/* A descriptor, or -1 with errno. */
static int ask(size_t index)
{
	struct msg_open_request request = { .index = (uint32_t)index };
	struct msg_status status;
	struct clock_mono deadline = clock_in_ms(ANSWER_MS);
	int fd;

	if (IPC_SEND(&self.channel, open_request, &request, -1, deadline) != IPC_OK ||
	    IPC_EXPECT(&self.channel, status, &status, deadline) != IPC_OK)
		fatal("the process that opens files has gone");
	fd = ipc_take_fd(&self.channel);
	if (fd < 0)
		errno = (int)status.code;
	return fd;
}

/* Whatever tells one state of a file from another; never 0. */
static uint64_t stamp_of(const struct stat *st)
{
	static const struct siphash_key key = { 1, 2 };
	const uint64_t parts[] = { (uint64_t)st->st_dev, (uint64_t)st->st_ino,
				   (uint64_t)st->st_size, (uint64_t)st->st_mtim.tv_sec,
				   (uint64_t)st->st_mtim.tv_nsec };

	return siphash(&key, (struct span){ (const char *)parts, sizeof(parts) }) | 1;
}

uint64_t opener_stamp(size_t index)
{
	int fd = ask(index);
	struct stat st;
	uint64_t stamp = 0;

	if (fd >= 0 && fstat(fd, &st) == 0)
		stamp = stamp_of(&st);
	if (fd >= 0)
		(void)close(fd);
	return stamp;
}

bool opener_read(size_t index, struct buf *out, uint64_t *ret_stamp, struct buf *ret_error)
{
	int fd = ask(index);
	struct stat st;
	bool is_read = false;

	*ret_stamp = 0;
	if (fd >= 0 && fstat(fd, &st) == 0) {
		*ret_stamp = stamp_of(&st);
		is_read = buf_read(out, fd);
	}
	if (!is_read)
		(void)buf_printf(ret_error, "%s: %s", self.paths[index], strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return is_read;
}
