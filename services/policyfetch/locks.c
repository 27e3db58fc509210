/* SPDX-License-Identifier: MIT */
/* Locks by name; see locks.h. Each is a byte of one file, locked by fcntl(2). */

#include "services/policyfetch/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "base/htab.h"
#include "base/log.h"

enum { LOCKS = 65536, PAUSE_MS = 20 };

static int file = -1;

void locks_open(int directory)
{
	file = openat(directory, "#locks", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file < 0)
		fatal("cannot make the file of locks: %s", strerror(errno));
}

static bool set(struct span name, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET,
			      .l_start = (off_t)(htab_hash(name) % LOCKS), .l_len = 1 };

	return fcntl(file, F_SETLK, &lock) == 0;
}

bool lock_take(struct span name, struct clock_mono deadline)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

	while (!set(name, F_WRLCK)) {
		if ((errno != EAGAIN && errno != EACCES) || clock_is_past(deadline))
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

void lock_drop(struct span name)
{
	(void)set(name, F_UNLCK);
}
