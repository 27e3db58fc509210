/* SPDX-License-Identifier: MIT */
#ifndef TABLE_REBUILD_H
#define TABLE_REBUILD_H

/*
 * A table file that is made anew beside the old one and takes its place in one step. Readers
 * have the old file until then; a crash leaves the old file and at most a temporary one.
 */

#include "base/buf.h"
#include "table/backend.h"

struct rebuild {
	char *path;
	char *temp; /* path.tmpPID */
	int fd; /* of the temporary file, for its mode, owner and flushing */
	int lock_fd; /* of the old file, locked against other writers; -1: there is none */
};

/*
 * Waits for other writers and makes the temporary file, empty, with owner and mode of the old
 * file, or of table_setup() when there is none. False with the reason in *ret_error.
 */
bool rebuild_begin(struct rebuild *rebuild, const char *path, struct buf *ret_error);

/*
 * Flushes the file and puts it in place, after the library that wrote it has closed it. False
 * with the reason: then the old file is still there. rebuild_end() follows in both cases.
 */
bool rebuild_commit(struct rebuild *rebuild, struct buf *ret_error);

/* Lets go; a file that was not put in place is removed. Accepts a zeroed or ended struct. */
void rebuild_end(struct rebuild *rebuild);

/* flock(2), waiting; the lock that Postfix uses for table files. */
bool table_lock(int fd, int operation);

/* Flushes the directory that holds `path`, so that a rename in it lasts. */
bool rebuild_sync_directory(const char *path);

#endif
