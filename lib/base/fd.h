/* SPDX-License-Identifier: MIT */
#ifndef BASE_FD_H
#define BASE_FD_H

/* What is done with blocking descriptors in more than one place. */

#include "base/span.h"

/* Writes all of it. False with errno when that was not possible; a part may have been written. */
MUST_USE bool fd_write_all(int fd, struct span bytes);

/* The same to a place in a file, in bytes from its beginning. */
MUST_USE bool fd_write_all_at(int fd, struct span bytes, uint64_t at);

#endif
