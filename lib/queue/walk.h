/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_WALK_H
#define QUEUE_WALK_H

/* Going through the files of a queue directory. */

#include <dirent.h>

#include "queue/dirs.h"

/*
 * Walks a directory: every name that is a queue id, in no order, for as long as the caller
 * likes. What comes or goes meanwhile may be seen or not.
 */
struct queue_walk {
	DIR *stream; /* NULL: not walking */
	const struct queue_dirs *dirs; /* borrowed */
	enum queue_dir dir;
	int part;  /* of incoming */
	int error; /* errno of what could not be read, or 0: then there may be more than was seen */
};
MUST_USE bool queue_walk_start(struct queue_walk *walk, const struct queue_dirs *dirs,
			       enum queue_dir dir);
bool queue_walk_next(struct queue_walk *walk, char ret_id[QUEUE_ID_MAX]);
void queue_walk_end(struct queue_walk *walk);

/*
 * Moves what lies in incoming itself, or in a part that is not its own (put there by hand, or by a
 * restored backup), to where it is looked for, and calls `moved` for each: qmgr at its start,
 * postsuper -s. False with errno when something could not be looked at or moved; the rest was.
 */
bool queue_sort_incoming(const struct queue_dirs *dirs, void (*moved)(const char *id));

#endif
