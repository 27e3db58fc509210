/* SPDX-License-Identifier: MIT */
/* Descriptors and directories; see fd.h. */

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* What write(2) or pwrite(2) gave: false when it is over. */
static bool take(ssize_t done, struct span *bytes)
{
	if (done < 0 && errno == EINTR)
		return true;
	if (done == 0)
		errno = ENOSPC;
	if (done <= 0)
		return false;
	*bytes = span_from(*bytes, (size_t)done);
	return true;
}

bool fd_write_all(int fd, struct span bytes)
{
	while (bytes.n > 0)
		if (!take(write(fd, bytes.p, bytes.n), &bytes))
			return false;
	return true;
}

bool fd_write_all_at(int fd, struct span bytes, uint64_t at)
{
	uint64_t end = at + bytes.n;

	while (bytes.n > 0)
		if (!take(pwrite(fd, bytes.p, bytes.n, (off_t)(end - bytes.n)), &bytes))
			return false;
	return true;
}

DIR *fd_open_dir(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (directory == NULL && fd >= 0) {
		int saved = errno;

		(void)close(fd);
		errno = saved;
	}
	return directory;
}
