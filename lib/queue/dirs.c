/* SPDX-License-Identifier: MIT */
/*
 * The queue directories; see dirs.h. queue_dirs_make() runs as root in `postern`; the rest in
 * qmgr, bounce, showq and the queue commands. Names from outside were checked to be queue ids
 * before they come here, and files are never followed through symbolic links.
 */

#include "queue/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/mem.h"

static const char *const names[QUEUE_DIR_COUNT] = {
	[QUEUE_MAILDROP] = "maildrop", [QUEUE_INCOMING] = "incoming", [QUEUE_ACTIVE] = "active",
	[QUEUE_DEFERRED] = "deferred", [QUEUE_HOLD] = "hold",	      [QUEUE_CORRUPT] = "corrupt",
	[QUEUE_BOUNCE] = "bounce",     [QUEUE_DEFER] = "defer",	      [QUEUE_TRACE] = "trace",
	[QUEUE_FLUSH] = "flush",
};

const char *queue_dir_name(enum queue_dir dir)
{
	return names[dir];
}

bool queue_dir_find(struct span name, enum queue_dir *ret_dir)
{
	for (int i = 0; i < QUEUE_DIR_COUNT; i++)
		if (span_is(name, names[i])) {
			*ret_dir = (enum queue_dir)i;
			return true;
		}
	return false;
}

/* ---- making ---- */

enum dir_owner { OWNER_ROOT, OWNER_QUEUE };

/* One row a directory: the modes are what keeps users out and lets postdrop in. */
static const struct dir_row {
	const char *name;
	enum dir_owner owner;
	bool has_setgid_group;
	mode_t mode;
} rows[] = {
	{ "incoming", OWNER_QUEUE, false, 0700 },
	{ "active", OWNER_QUEUE, false, 0700 },
	{ "deferred", OWNER_QUEUE, false, 0700 },
	{ "hold", OWNER_QUEUE, false, 0700 },
	{ "corrupt", OWNER_QUEUE, false, 0700 },
	{ "bounce", OWNER_QUEUE, false, 0700 },
	{ "defer", OWNER_QUEUE, false, 0700 },
	{ "trace", OWNER_QUEUE, false, 0700 },
	{ "flush", OWNER_QUEUE, false, 0700 },
	{ "saved", OWNER_QUEUE, false, 0700 },
	{ "private", OWNER_QUEUE, false, 0700 },
	{ "maildrop", OWNER_QUEUE, true, 01730 },
	{ "public", OWNER_QUEUE, true, 02710 },
	{ "pid", OWNER_ROOT, false, 0755 },
	{ "jail", OWNER_ROOT, false, 0755 },
};

enum { PART_NAME_MAX = 12 };

static void name_part(char name[PART_NAME_MAX], int part)
{
	(void)snprintf(name, PART_NAME_MAX, "%x", (unsigned)part);
}

/* Makes one directory in `above` and sets what is not yet as it should be; -1 with errno. */
static int make_row(int above, const struct dir_row *row, uid_t queue_uid, gid_t setgid_gid)
{
	uid_t uid = row->owner == OWNER_QUEUE ? queue_uid : 0;
	gid_t gid = row->has_setgid_group ? setgid_gid : (gid_t)-1;
	struct stat st;
	bool is_new = mkdirat(above, row->name, 0700) == 0;
	int fd, result = 0;

	if (!is_new && errno != EEXIST)
		return -1;
	fd = openat(above, row->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		result = -1;
	if (result == 0 && geteuid() == 0 &&
	    (st.st_uid != uid || (gid != (gid_t)-1 && st.st_gid != gid)))
		result = fchown(fd, uid, gid);
	/* After fchown, which clears the set-gid bit. */
	if (result == 0 && ((st.st_mode & 07777) != row->mode || geteuid() == 0))
		result = fchmod(fd, row->mode);
	/* What is flushed in it later needs the directory itself. */
	if (result == 0 && is_new)
		result = fsync(above);

	int saved = errno;

	(void)close(fd);
	errno = saved;
	return result;
}

/* The parts of incoming. */
static int make_parts(int root, uid_t queue_uid)
{
	int incoming = openat(root, names[QUEUE_INCOMING], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int result = incoming < 0 ? -1 : 0;

	for (int part = 0; result == 0 && part < QUEUE_INCOMING_PARTS; part++) {
		char name[PART_NAME_MAX];
		struct dir_row row = { name, OWNER_QUEUE, false, 0700 };

		name_part(name, part);
		result = make_row(incoming, &row, queue_uid, (gid_t)-1);
	}

	int saved = errno;

	if (incoming >= 0)
		(void)close(incoming);
	errno = saved;
	return result;
}

bool queue_dirs_make(const char *queue_directory, uid_t queue_uid, gid_t setgid_gid,
		     struct buf *error)
{
	int root = open(queue_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *failed = NULL;

	if (root < 0) {
		(void)buf_printf(error, "open directory %s: %s", queue_directory, strerror(errno));
		return false;
	}
	for (size_t i = 0; failed == NULL && i < ARRAY_LEN(rows); i++)
		if (make_row(root, &rows[i], queue_uid, setgid_gid) < 0)
			failed = rows[i].name;
	if (failed == NULL && make_parts(root, queue_uid) < 0)
		failed = "incoming";
	if (failed != NULL)
		(void)buf_printf(error, "directory %s/%s: %s", queue_directory, failed,
				 strerror(errno));
	(void)close(root);
	return failed == NULL;
}

/* ---- opening ---- */

static bool open_all(struct queue_dirs *dirs, int root)
{
	enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };

	for (int i = 0; i < QUEUE_DIR_COUNT; i++)
		if ((dirs->fds[i] = openat(root, names[i], FLAGS)) < 0)
			return false;
	for (int part = 0; part < QUEUE_INCOMING_PARTS; part++) {
		char name[PART_NAME_MAX];

		name_part(name, part);
		dirs->incoming[part] = openat(dirs->fds[QUEUE_INCOMING], name, FLAGS);
		if (dirs->incoming[part] < 0)
			return false;
	}
	return true;
}

bool queue_dirs_open(struct queue_dirs *dirs, const char *queue_directory)
{
	int root = open(queue_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool is_open;

	for (int i = 0; i < QUEUE_DIR_COUNT; i++)
		dirs->fds[i] = -1;
	for (int part = 0; part < QUEUE_INCOMING_PARTS; part++)
		dirs->incoming[part] = -1;
	if (root < 0)
		return false;
	is_open = open_all(dirs, root);

	int saved = errno;

	if (!is_open)
		queue_dirs_close(dirs);
	(void)close(root);
	errno = saved;
	return is_open;
}

static void close_all(int *fds, int count)
{
	for (int i = 0; i < count; i++) {
		if (fds[i] >= 0)
			(void)close(fds[i]);
		fds[i] = -1;
	}
}

void queue_dirs_close(struct queue_dirs *dirs)
{
	close_all(dirs->fds, QUEUE_DIR_COUNT);
	close_all(dirs->incoming, QUEUE_INCOMING_PARTS);
}

static int part_of(const char *id)
{
	return (int)(crc32c(0, id, strlen(id)) % QUEUE_INCOMING_PARTS);
}

int queue_dir_fd(const struct queue_dirs *dirs, enum queue_dir dir, const char *id)
{
	return dir == QUEUE_INCOMING ? dirs->incoming[part_of(id)] : dirs->fds[dir];
}

/* ---- files ---- */

/* The first read of a new file would write its inode, for a time of access that nobody asks for. Only
 * the owner (and root) may leave it. */
static int open_quietly(int dir_fd, const char *id, int flags)
{
	int fd = openat(dir_fd, id, flags | O_NOATIME);

	return fd < 0 && errno == EPERM ? openat(dir_fd, id, flags) : fd;
}

int queue_open_in(const struct queue_dirs *dirs, enum queue_dir dir, const char *id, int flags)
{
	int fd = open_quietly(queue_dir_fd(dirs, dir, id), id, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		(void)close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

int queue_open_message(const struct queue_dirs *dirs, const char *id, int flags,
		       enum queue_dir *ret_dir)
{
	static const enum queue_dir order[] = { QUEUE_INCOMING, QUEUE_DEFERRED, QUEUE_HOLD,
						QUEUE_CORRUPT };
	enum { ROUNDS = 2 };

	for (size_t i = 0; i < ROUNDS * ARRAY_LEN(order); i++) {
		enum queue_dir dir = order[i % (ARRAY_LEN(order))];
		int fd = queue_open_in(dirs, dir, id, flags);

		if (fd >= 0 || errno != ENOENT) {
			*ret_dir = dir;
			return fd;
		}
	}
	return -1;
}

bool queue_move(const struct queue_dirs *dirs, const char *id, enum queue_dir from,
		enum queue_dir to)
{
	return renameat2(queue_dir_fd(dirs, from, id), id, queue_dir_fd(dirs, to, id), id,
			 RENAME_NOREPLACE) == 0;
}

bool queue_remove(const struct queue_dirs *dirs, enum queue_dir dir, const char *id)
{
	return unlinkat(queue_dir_fd(dirs, dir, id), id, 0) == 0 || errno == ENOENT;
}

bool queue_stat(const struct queue_dirs *dirs, enum queue_dir dir, const char *id, struct stat *ret)
{
	return fstatat(queue_dir_fd(dirs, dir, id), id, ret, AT_SYMLINK_NOFOLLOW) == 0;
}

void queue_try_now(const struct queue_dirs *dirs, enum queue_dir dir, const char *id)
{
	static const struct timespec now[2] = { { .tv_nsec = UTIME_OMIT },
						{ .tv_nsec = UTIME_NOW } };

	(void)utimensat(queue_dir_fd(dirs, dir, id), id, now, AT_SYMLINK_NOFOLLOW);
}
