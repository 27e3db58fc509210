/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_DIRS_H
#define QUEUE_DIRS_H

/*
 * The directories of the queue: making them, opening them, and what moves between them. A queue
 * file has the same name, its queue id, wherever it is; ARCHITECTURE.md says what each
 * directory means.
 *
 * Incoming has parts, directories of their own named 0 to f: all cleanup processes make files there
 * at once, and a file system lets one process at a time change a directory. The id says which part.
 */

#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "queue/file.h"
#include "queue/id.h"

enum queue_dir {
	QUEUE_MAILDROP, /* postdrop's files, no queue files yet */
	QUEUE_INCOMING,
	QUEUE_ACTIVE, /* always empty: what is active is what qmgr says */
	QUEUE_DEFERRED,
	QUEUE_HOLD,
	QUEUE_CORRUPT,
	QUEUE_BOUNCE, /* from here on: logs of a message, by queue id */
	QUEUE_DEFER,
	QUEUE_TRACE,
	QUEUE_FLUSH,
	QUEUE_DIR_COUNT
};

const char *queue_dir_name(enum queue_dir dir);
MUST_USE bool queue_dir_find(struct span name, enum queue_dir *ret_dir);

/*
 * Makes all directories below `queue_directory` (which exists) that are missing, and gives each
 * its owner, group and mode; an ordinary user, for a private instance, makes them as his own. For
 * `postern start` and `check`. False with a text in `error`.
 */
MUST_USE bool queue_dirs_make(const char *queue_directory, uid_t queue_uid, gid_t setgid_gid,
			      struct buf *error);

enum { QUEUE_INCOMING_PARTS = 16 };

struct queue_dirs {
	int fds[QUEUE_DIR_COUNT];
	int incoming[QUEUE_INCOMING_PARTS];
};

/* Opens them; `queue_directory` as it is seen by this process ("/" in the jail). False: errno. */
MUST_USE bool queue_dirs_open(struct queue_dirs *dirs, const char *queue_directory);
void queue_dirs_close(struct queue_dirs *dirs);

/* The directory that holds `id` when it is in `dir`: for incoming a part of it. Borrowed. */
int queue_dir_fd(const struct queue_dirs *dirs, enum queue_dir dir, const char *id);

/*
 * Opens the message `id`, which must be valid, in the first of incoming, deferred, hold and
 * corrupt that has it. A file may move meanwhile, so they are gone through twice. The descriptor,
 * or -1 with errno.
 */
MUST_USE int queue_open_message(const struct queue_dirs *dirs, const char *id, int flags,
				enum queue_dir *ret_dir);

/* Opens it in one directory; ENOENT when it is not there, EINVAL when it is no regular file. */
MUST_USE int queue_open_in(const struct queue_dirs *dirs, enum queue_dir dir, const char *id,
			   int flags);

/*
 * Moves it, never over another file. False with errno. The move may be lost with the power: then
 * the file is where it was.
 */
MUST_USE bool queue_move(const struct queue_dirs *dirs, const char *id, enum queue_dir from,
			 enum queue_dir to);

/* Removes a message or a log. False with errno; ENOENT counts as removed. */
bool queue_remove(const struct queue_dirs *dirs, enum queue_dir dir, const char *id);

/* As fstatat(2), not through a symbolic link. */
MUST_USE bool queue_stat(const struct queue_dirs *dirs, enum queue_dir dir, const char *id,
			 struct stat *ret);

/* A deferred message's next try is at once: when deferred is gone through next. */
void queue_try_now(const struct queue_dirs *dirs, enum queue_dir dir, const char *id);

#endif
