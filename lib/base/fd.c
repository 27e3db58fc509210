/* SPDX-License-Identifier: MIT */
/* Writing to descriptors; see fd.h. */

#include "base/fd.h"

#include <errno.h>
#include <unistd.h>

bool fd_write_all(int fd, struct span bytes)
{
	while (bytes.n > 0) {
		ssize_t done = write(fd, bytes.p, bytes.n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done == 0)
			errno = ENOSPC;
		if (done <= 0)
			return false;
		bytes = span_from(bytes, (size_t)done);
	}
	return true;
}
