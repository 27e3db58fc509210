/* SPDX-License-Identifier: MIT */
/* Table files: reading them whole, and knowing them again; see backend.h. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "table/backend.h"

enum { READ_TRIES = 3 };

struct file_id table_file_id(const struct stat *st)
{
	return (struct file_id){ st->st_dev, st->st_ino, st->st_size, st->st_mtim };
}

static bool same_id(const struct file_id *a, const struct file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

bool table_file_is(const char *path, const struct file_id *id)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return false;

	struct file_id now = table_file_id(&st);

	return same_id(&now, id);
}

/* Reads until the file was the same before and after: somebody may be writing it. */
static bool read_settled(int fd, struct buf *text, struct file_id *ret_id)
{
	struct stat before, after;

	for (int tries = 0; tries < READ_TRIES; tries++) {
		buf_reset(text);
		if (lseek(fd, 0, SEEK_SET) < 0 && errno != ESPIPE)
			return false;
		if (fstat(fd, &before) != 0 || !buf_read(text, fd) || fstat(fd, &after) != 0)
			return false;
		*ret_id = table_file_id(&after);

		struct file_id first = table_file_id(&before);

		if (same_id(&first, ret_id))
			break;
	}
	return true;
}

bool file_read(const char *path, struct buf *ret_text, struct file_id *ret_id,
	       struct buf *ret_error)
{
	const struct table_settings *settings = table_settings();

	if (settings->reading != NULL)
		settings->reading(path);

	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is_read = fd >= 0 && read_settled(fd, ret_text, ret_id);

	if (!is_read) {
		buf_reset(ret_error);
		buf_printf(ret_error, "%s %s: %s", fd < 0 ? "open" : "read", path, strerror(errno));
	}
	if (fd >= 0)
		close(fd);
	return is_read;
}

bool table_read_file(struct table *table, struct buf *ret_text)
{
	return file_read(table->path, ret_text, &table->id, &table->error);
}
