/* SPDX-License-Identifier: MIT */
/*
 * Delivery into a Maildir; see act.h. Runs as the user who owns it. Each directory is opened once,
 * without following a symbolic link, and used through its descriptor: whatever happens to the
 * names meanwhile, nothing is made elsewhere.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "deliver/act.h"

enum { DIR_MODE = 0700, NAME_BYTES = 512, DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC };

/* Opens a directory, and makes it, for good, when it is missing. */
static int open_or_make(int parent, const char *name, bool *ret_is_new)
{
	int fd = openat(parent, name, DIRECTORY_FLAGS | O_NOFOLLOW);

	if (fd >= 0 || errno != ENOENT)
		return fd;
	*ret_is_new = true;
	if ((mkdirat(parent, name, DIR_MODE) < 0 && errno != EEXIST) || fsync(parent) < 0)
		return -1;
	return openat(parent, name, DIRECTORY_FLAGS | O_NOFOLLOW);
}

/*
 * The Maildir itself. Its parents are the administrator's or the user's business and may be
 * links; missing ones are made as well.
 */
static int open_maildir(int dir_fd, const char *path)
{
	struct span rest = span_of(path);
	size_t slash;
	char *whole, *parent, *name;
	int parent_fd, fd, saved;
	bool is_new;

	while (rest.n > 1 && rest.p[rest.n - 1] == '/')
		rest.n--;
	whole = mem_dup(rest);
	fd = openat(dir_fd, whole, DIRECTORY_FLAGS | O_NOFOLLOW);
	free(whole);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	parent = span_rchr(rest, '/', &slash) ? mem_dup(span_first(rest, slash > 0 ? slash : 1))
					      : mem_dup_str(".");
	name = mem_dup(span_rchr(rest, '/', &slash) ? span_from(rest, slash + 1) : rest);
	parent_fd = openat(dir_fd, parent, DIRECTORY_FLAGS);
	if (parent_fd < 0 && errno == ENOENT && strcmp(parent, "/") != 0)
		parent_fd = open_maildir(dir_fd, parent);
	if (parent_fd >= 0)
		fd = open_or_make(parent_fd, name, &is_new);
	saved = errno;
	if (parent_fd >= 0)
		(void)close(parent_fd);
	free(parent);
	free(name);
	errno = saved;
	return fd;
}

/* "/" and ":" mean something in Maildir names. */
static void clean_hostname(const char *hostname, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s", hostname);
	for (char *p = ret; *p != '\0'; p++)
		if (*p == '/' || *p == ':')
			*p = '_';
}

/* The file in tmp/ while it is written: what fatal() must not leave. A process delivers once at a
 * time. */
static struct {
	int tmp;
	const char *name;
} unfinished;

static void remove_unfinished(void)
{
	(void)unlinkat(unfinished.tmp, unfinished.name, 0);
}

/* Writes the message into a new file in tmp/. The descriptor, or -1 with ret_act set. */
static int write_tmp(int tmp, const char *name, int queue_fd, const struct message_format *format,
		     struct act *act)
{
	int fd = openat(tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	enum message_status status;

	if (fd < 0) {
		act_fail(act, act_status_of(errno), errno, "create maildir file tmp/%s", name);
		return -1;
	}
	unfinished.tmp = tmp;
	unfinished.name = name;
	log_on_fatal(remove_unfinished);
	status = message_copy(queue_fd, format, message_to_fd, &fd);
	log_on_fatal(NULL);
	if (status != MESSAGE_OK)
		act_copy_failed(act, status, "message");
	else if (fsync(fd) < 0)
		act_fail(act, act_status_of(errno), errno, "error writing message");
	if (act_is_good(act))
		return fd;
	(void)close(fd);
	return -1;
}

/* Never over another file. */
static bool move_to_new(int tmp, const char *from, int new, const char *to)
{
	if (renameat2(tmp, from, new, to, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	if (linkat(tmp, from, new, to, 0) < 0)
		return false;
	(void)unlinkat(tmp, from, 0);
	return true;
}

/* It may not survive a power cut, so it will be delivered again: once is enough. */
static void take_back(int new, const char *name, struct act *act)
{
	act_fail(act, act_status_of(errno), errno, "flush maildir directory new/");
	(void)unlinkat(new, name, 0);
}

static void deliver(int tmp, int new, const char *hostname, int queue_fd,
		    const struct message_format *format, struct act *act)
{
	struct clock_wall now = clock_wall_now();
	long long seconds = (long long)(now.us / 1000000), micro = (long long)(now.us % 1000000);
	char host[256], from[NAME_BYTES], to[NAME_BYTES];
	struct stat st;
	int fd;

	clean_hostname(hostname, host, sizeof(host));
	(void)snprintf(from, sizeof(from), "%lld.M%lldP%ld.%s", seconds, micro, (long)getpid(), host);
	fd = write_tmp(tmp, from, queue_fd, format, act);
	if (fd >= 0 && fstat(fd, &st) == 0) {
		(void)snprintf(to, sizeof(to), "%lld.V%llxI%llxM%lld.%s", seconds,
			       (unsigned long long)st.st_dev, (unsigned long long)st.st_ino, micro, host);
		if (!move_to_new(tmp, from, new, to))
			act_fail(act, act_status_of(errno), errno, "link to new/%s", to);
		else if (fsync(new) < 0)
			take_back(new, to, act);
	} else if (fd >= 0) {
		act_fail(act, "4.2.0", errno, "look at maildir file tmp/%s", from);
	}
	if (!act_is_good(act))
		(void)unlinkat(tmp, from, 0);
	if (fd >= 0)
		(void)close(fd);
}

void maildir_add(int dir_fd, const char *path, const char *hostname, int queue_fd,
		 const struct message_format *format, struct act *ret)
{
	/* "cur" is of no use here: it is looked for only when the others were not there either. */
	static const char *const names[] = { "tmp", "new", "cur" };
	int top = open_maildir(dir_fd, path), parts[ARRAY_LEN(names)] = { -1, -1, -1 };
	bool is_new = false;

	if (top < 0)
		act_fail(ret, act_status_of(errno), errno, "open maildir %s", path);
	for (size_t i = 0; i < ARRAY_LEN(names) && (i < 2 || is_new) && act_is_good(ret); i++) {
		parts[i] = open_or_make(top, names[i], &is_new);
		if (parts[i] < 0)
			act_fail(ret, act_status_of(errno), errno, "open maildir %s%s", path, names[i]);
	}
	if (act_is_good(ret))
		deliver(parts[0], parts[1], hostname, queue_fd, format, ret);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (parts[i] >= 0)
			(void)close(parts[i]);
	if (top >= 0)
		(void)close(top);
}
