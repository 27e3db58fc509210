/* SPDX-License-Identifier: MIT */
/* Walks through queue directories; see walk.h. */

#include "queue/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

/* The next name that is a queue id; false at the end, with errno 0 unless it could not be read. */
static bool next_id(DIR *stream, char ret_id[QUEUE_ID_MAX])
{
	struct dirent *entry;

	while (errno = 0, (entry = readdir(stream)) != NULL) {
		struct span name = span_of(entry->d_name);

		if (name.n >= QUEUE_ID_MAX || !queue_id_is_valid(name))
			continue;
		memcpy(ret_id, name.p, name.n + 1);
		return true;
	}
	return false;
}

/* Goes to part `part` of the walk, or to the first behind it that can be opened. */
static void open_part(struct queue_walk *walk, int part)
{
	int parts = walk->dir == QUEUE_INCOMING ? QUEUE_INCOMING_PARTS : 1;

	for (; walk->stream == NULL && part < parts; part++) {
		walk->part = part;
		walk->stream = fd_open_dir(walk->dir == QUEUE_INCOMING ? walk->dirs->incoming[part] :
									  walk->dirs->fds[walk->dir], ".");
		if (walk->stream == NULL)
			walk->error = errno;
	}
}

bool queue_walk_start(struct queue_walk *walk, const struct queue_dirs *dirs, enum queue_dir dir)
{
	queue_walk_end(walk);
	*walk = (struct queue_walk){ .dirs = dirs, .dir = dir };
	open_part(walk, 0);
	errno = walk->error;
	return walk->stream != NULL;
}

bool queue_walk_next(struct queue_walk *walk, char ret_id[QUEUE_ID_MAX])
{
	while (walk->stream != NULL) {
		if (next_id(walk->stream, ret_id))
			return true;
		if (errno != 0)
			walk->error = errno;
		queue_walk_end(walk);
		open_part(walk, walk->part + 1);
	}
	return false;
}

void queue_walk_end(struct queue_walk *walk)
{
	if (walk->stream != NULL)
		(void)closedir(walk->stream);
	walk->stream = NULL;
}

/* ---- putting right ---- */

/* Moves what does not belong into `dir_fd`; 0, or errno. */
static int sort_out(const struct queue_dirs *dirs, int dir_fd, void (*moved)(const char *id))
{
	DIR *stream = fd_open_dir(dir_fd, ".");
	char id[QUEUE_ID_MAX];
	int error = stream == NULL ? errno : 0;

	while (stream != NULL && next_id(stream, id)) {
		int own = queue_dir_fd(dirs, QUEUE_INCOMING, id);

		if (own == dir_fd)
			continue;
		if (renameat2(dir_fd, id, own, id, RENAME_NOREPLACE) == 0)
			moved(id);
		else if (errno != ENOENT)
			error = errno;
	}
	if (stream != NULL) {
		if (errno != 0)
			error = errno;
		(void)closedir(stream);
	}
	return error;
}

bool queue_sort_incoming(const struct queue_dirs *dirs, void (*moved)(const char *id))
{
	int error = sort_out(dirs, dirs->fds[QUEUE_INCOMING], moved);

	for (int part = 0; part < QUEUE_INCOMING_PARTS; part++) {
		int part_error = sort_out(dirs, dirs->incoming[part], moved);

		if (error == 0)
			error = part_error;
	}
	errno = error;
	return error == 0;
}
