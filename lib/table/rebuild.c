/* SPDX-License-Identifier: MIT */
/* Replacing a table file atomically; see rebuild.h. Runs in postmap, postalias and the like. */

#include "table/rebuild.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

bool table_lock(int fd, int operation)
{
	int result;

	do
		result = flock(fd, operation);
	while (result != 0 && errno == EINTR);
	return result == 0;
}

/* Locks the file at `path`, if there is one, and makes sure that it still is the one there. */
static bool lock_old_file(struct rebuild *rebuild, struct stat *ret_st)
{
	struct stat now;

	for (;;) {
		rebuild->lock_fd = open(rebuild->path, O_RDWR | O_CLOEXEC);
		if (rebuild->lock_fd < 0)
			return errno == ENOENT;
		if (!table_lock(rebuild->lock_fd, LOCK_EX) || fstat(rebuild->lock_fd, ret_st) != 0)
			return false;
		if (stat(rebuild->path, &now) == 0 && now.st_ino == ret_st->st_ino &&
		    now.st_dev == ret_st->st_dev)
			return true;
		close(rebuild->lock_fd);
		rebuild->lock_fd = -1;
	}
}

/* The owner is changed only where it differs, since few may do so. */
static bool set_owner_and_mode(int fd, uid_t uid, gid_t gid, mode_t mode)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	if ((uid != (uid_t)-1 && uid != st.st_uid) || (gid != (gid_t)-1 && gid != st.st_gid))
		if (fchown(fd, uid, gid) != 0)
			return false;
	return fchmod(fd, mode) == 0;
}

static bool make_temp(struct rebuild *rebuild, const struct stat *old)
{
	const struct table_settings *settings = table_settings();

	rebuild->temp = mem_printf("%s.tmp%ld", rebuild->path, (long)getpid());
	(void)unlink(rebuild->temp);
	rebuild->fd = open(rebuild->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (rebuild->fd < 0) {
		free(rebuild->temp);
		rebuild->temp = NULL;
		return false;
	}
	if (rebuild->lock_fd >= 0)
		return set_owner_and_mode(rebuild->fd, old->st_uid, old->st_gid,
					  old->st_mode & 07777);
	return set_owner_and_mode(rebuild->fd, settings->new_file_owner, settings->new_file_group,
				  settings->new_file_mode);
}

/* What fatal() must not leave: a process makes one table at a time. */
static const struct rebuild *unfinished;

static void remove_unfinished(void)
{
	if (unfinished->temp != NULL)
		(void)unlink(unfinished->temp);
}

bool rebuild_begin(struct rebuild *rebuild, const char *path, struct buf *ret_error)
{
	struct stat old;

	*rebuild = (struct rebuild){ .path = mem_dup_str(path), .fd = -1, .lock_fd = -1 };
	unfinished = rebuild;
	log_on_fatal(remove_unfinished);
	if (lock_old_file(rebuild, &old) && make_temp(rebuild, &old))
		return true;
	buf_reset(ret_error);
	buf_printf(ret_error, "open database %s: %s", path, strerror(errno));
	rebuild_end(rebuild);
	return false;
}

bool rebuild_sync_directory(const char *path)
{
	size_t slash;
	bool has_slash = span_rchr(span_of(path), '/', &slash);
	char *name = has_slash ? mem_dup(span_first(span_of(path), slash + 1)) : mem_dup_str(".");
	int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool is_synced = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	free(name);
	return is_synced;
}

bool rebuild_commit(struct rebuild *rebuild, struct buf *ret_error)
{
	const char *step = "flush";
	bool is_done = fsync(rebuild->fd) == 0;

	if (is_done) {
		step = "rename";
		is_done = rename(rebuild->temp, rebuild->path) == 0;
	}
	if (is_done) {
		free(rebuild->temp);
		rebuild->temp = NULL;
		step = "flush directory of";
		is_done = rebuild_sync_directory(rebuild->path);
	}
	if (!is_done) {
		buf_reset(ret_error);
		buf_printf(ret_error, "%s database %s: %s", step, rebuild->path, strerror(errno));
	}
	return is_done;
}

void rebuild_end(struct rebuild *rebuild)
{
	if (rebuild->path == NULL)
		return;
	log_on_fatal(NULL);
	if (rebuild->temp != NULL)
		(void)unlink(rebuild->temp);
	if (rebuild->fd >= 0)
		close(rebuild->fd);
	if (rebuild->lock_fd >= 0)
		close(rebuild->lock_fd);
	free(rebuild->temp);
	free(rebuild->path);
	*rebuild = (struct rebuild){ .fd = -1, .lock_fd = -1 };
}
