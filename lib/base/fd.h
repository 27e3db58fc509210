/* SPDX-License-Identifier: MIT */
#ifndef BASE_FD_H
#define BASE_FD_H

/* What is done with blocking descriptors in more than one place. */

#include <dirent.h>

#include "base/span.h"

/* Writes all of it. False with errno when that was not possible; a part may have been written. */
MUST_USE bool fd_write_all(int fd, struct span bytes);

/* The same to a place in a file, in bytes from its beginning. */
MUST_USE bool fd_write_all_at(int fd, struct span bytes, uint64_t at);

/*
 * The directory `name` in `dir_fd`, "." for that itself, to be read from its beginning, beside other
 * readers. Links are not followed. For closedir(); NULL with errno.
 */
MUST_USE DIR *fd_open_dir(int dir_fd, const char *name);

#endif
