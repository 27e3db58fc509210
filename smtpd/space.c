/* SPDX-License-Identifier: MIT */
/*
 * Free space in the queue, asked from inside a jail that cannot name a file: through a
 * descriptor that can be neither read nor written (O_PATH), of the pid file, not a directory.
 */

#include "smtpd/space.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/vfs.h>

#include "base/mem.h"
#include "conf/conf.h"

static int queue_fd = -1;

void space_prepare(const char *queue_directory)
{
	char *path = mem_printf("%s/pid/master.pid", queue_directory);

	queue_fd = open(path, O_PATH | O_CLOEXEC);
	free(path);
}

bool space_is_enough(uint64_t size_bytes)
{
	uint64_t limit = conf->message_size_limit > 0 ? (uint64_t)conf->message_size_limit : 0;
	uint64_t minimum = (uint64_t)conf->queue_minfree;
	struct statfs fs;
	uint64_t free_bytes;

	if (queue_fd < 0 || fstatfs(queue_fd, &fs) < 0 || fs.f_bsize <= 0)
		return true;
	free_bytes = (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
	return free_bytes > minimum && free_bytes - minimum > size_bytes &&
	       free_bytes / 3 * 2 > limit;
}
