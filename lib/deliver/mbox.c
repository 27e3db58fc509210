/* SPDX-License-Identifier: MIT */
/*
 * Appending to UNIX mailbox files; see act.h. Runs as the user who owns the mailbox, in a
 * directory that the user can change at any moment: so every check is made on the open file.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "deliver/act.h"
#include "deliver/biff.h"

struct mbox {
	const struct mbox_target *target;
	int fd;
	bool is_new;
	bool is_regular;
	bool is_writing;
	off_t start; /* length before */
	char *dotlock; /* path, when we made it */
	struct act *act;
};

bool mbox_parse_locks(const char *words, unsigned *ret_locks)
{
	struct span rest = span_of(words), word;
	unsigned locks = 0;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0) {
		if (span_is_nocase(word, "fcntl"))
			locks |= MBOX_FCNTL;
		else if (span_is_nocase(word, "flock"))
			locks |= MBOX_FLOCK;
		else if (span_is_nocase(word, "dotlock"))
			locks |= MBOX_DOTLOCK;
		else
			return false;
	}
	*ret_locks = locks;
	return true;
}

static void pause_s(int seconds)
{
	struct timespec time = { .tv_sec = seconds };

	while (nanosleep(&time, &time) < 0 && errno == EINTR)
		;
}

/* A lock file that nobody touched for long is left from a crash. */
static void remove_stale(const struct mbox_target *target, const char *path)
{
	struct stat st;

	if (fstatat(target->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    time(NULL) - st.st_mtime > target->stale_lock_s)
		(void)unlinkat(target->dir_fd, path, 0);
}

/* Makes PATH.lock. Where files cannot be made the other locks must do: nobody can make it there. */
static bool take_dotlock(struct mbox *mbox)
{
	const struct mbox_target *target = mbox->target;
	char *path = mem_printf("%s.lock", target->path);

	for (int attempt = 0;; attempt++) {
		int fd = openat(target->dir_fd, path,
				O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

		if (fd >= 0) {
			(void)close(fd);
			mbox->dotlock = path;
			return true;
		}
		if (errno == EACCES || errno == EPERM || errno == EROFS) {
			free(path);
			return true;
		}
		if (errno != EEXIST || attempt >= target->lock_attempts)
			break;
		remove_stale(target, path);
		pause_s(target->lock_delay_s);
	}
	act_fail(mbox->act, errno == EEXIST ? "4.2.0" : act_status_of(errno), errno,
		 "unable to create lock file %s", path);
	free(path);
	return false;
}

static bool try_locks(const struct mbox *mbox)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if ((mbox->target->locks & MBOX_FCNTL) != 0 && fcntl(mbox->fd, F_SETLK, &lock) < 0)
		return false;
	return (mbox->target->locks & MBOX_FLOCK) == 0 || flock(mbox->fd, LOCK_EX | LOCK_NB) == 0;
}

static bool take_locks(struct mbox *mbox)
{
	for (int attempt = 0; !try_locks(mbox); attempt++) {
		bool is_taken = errno == EAGAIN || errno == EACCES || errno == EWOULDBLOCK;

		if (!is_taken || attempt >= mbox->target->lock_attempts) {
			act_fail(mbox->act, "4.2.0", errno, "unable to lock for exclusive access");
			return false;
		}
		pause_s(mbox->target->lock_delay_s);
	}
	return true;
}

/* Opens or makes the file. O_NONBLOCK: a FIFO without a reader must not hold us up. */
static bool open_file(struct mbox *mbox)
{
	const struct mbox_target *target = mbox->target;
	int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	mbox->fd = openat(target->dir_fd, target->path, flags);
	if (mbox->fd < 0 && errno == ENOENT) {
		mbox->fd = openat(target->dir_fd, target->path, flags | O_CREAT | O_EXCL, 0600);
		mbox->is_new = mbox->fd >= 0;
	}
	if (mbox->fd < 0) {
		act_fail(mbox->act, act_status_of(errno), errno, "cannot open file");
		return false;
	}
	if (mbox->is_new && target->new_group != (gid_t)-1)
		(void)!fchown(mbox->fd, (uid_t)-1, target->new_group);
	return true;
}

static bool check_file(struct mbox *mbox)
{
	struct stat st;

	if (fstat(mbox->fd, &st) < 0) {
		act_fail(mbox->act, "4.2.0", errno, "cannot look at file");
		return false;
	}
	mbox->is_regular = S_ISREG(st.st_mode);
	mbox->start = st.st_size;
	if (!mbox->is_regular && !(S_ISCHR(st.st_mode) && mbox->target->may_be_device))
		act_fail(mbox->act, "4.2.0", 0, "destination is not a regular file");
	else if (mbox->is_regular && st.st_nlink != 1)
		act_fail(mbox->act, "4.2.0", 0, "file has %ld hard links", (long)st.st_nlink);
	else if (mbox->target->must_be_owned && st.st_uid != geteuid())
		act_fail(mbox->act, "4.2.0", 0, "destination is not owned by recipient");
	return act_is_good(mbox->act);
}

/* A mail reader may have put another file in its place while we waited for the lock. */
static bool is_still_there(const struct mbox *mbox)
{
	struct stat here, there;

	return fstat(mbox->fd, &here) == 0 &&
	       fstatat(mbox->target->dir_fd, mbox->target->path, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

static bool prepare(struct mbox *mbox)
{
	if ((mbox->target->locks & MBOX_DOTLOCK) != 0 && !take_dotlock(mbox))
		return false;
	if (!open_file(mbox) || !check_file(mbox))
		return false;
	if (!mbox->is_regular)
		return true;
	if (!take_locks(mbox) || !check_file(mbox)) /* again: it may have grown */
		return false;
	if (!is_still_there(mbox)) {
		act_fail(mbox->act, "4.2.0", 0, "the file was replaced during delivery");
		return false;
	}
	return true;
}

/* Makes the entry of a new file in its directory durable, as far as we may read that. */
static void flush_directory(const struct mbox_target *target)
{
	const char *slash = strrchr(target->path, '/');
	char *directory = slash != NULL ? mem_dup((struct span){ target->path,
						  (size_t)(slash - target->path + 1) })
					: mem_dup_str(".");
	int fd = openat(target->dir_fd, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	free(directory);
	if (fd < 0)
		return;
	(void)fsync(fd);
	(void)close(fd);
}

/* What fatal() must give back: the lock file, and the mailbox as it was. */
static const struct mbox *unfinished;

static void give_back(void)
{
	if (unfinished->is_writing && unfinished->is_regular)
		(void)!ftruncate(unfinished->fd, unfinished->start);
	if (unfinished->dotlock != NULL)
		(void)unlinkat(unfinished->target->dir_fd, unfinished->dotlock, 0);
}

static void append(struct mbox *mbox, int queue_fd, const struct message_format *format)
{
	enum message_status status;

	mbox->is_writing = true;
	status = message_copy(queue_fd, format, message_to_fd, &mbox->fd);
	if (status != MESSAGE_OK)
		act_copy_failed(mbox->act, status, "message");
	else if (mbox->is_regular && fsync(mbox->fd) < 0)
		act_fail(mbox->act, act_status_of(errno), errno, "error writing message");
	if (!mbox->is_regular)
		return;
	if (!act_is_good(mbox->act))
		(void)!ftruncate(mbox->fd, mbox->start);
	else if (mbox->is_new)
		flush_directory(mbox->target);
}

void mbox_append(const struct mbox_target *target, int queue_fd,
		 const struct message_format *format, struct act *ret)
{
	struct mbox mbox = { .target = target, .fd = -1, .act = ret };

	unfinished = &mbox;
	log_on_fatal(give_back);
	if (prepare(&mbox))
		append(&mbox, queue_fd, format);
	log_on_fatal(NULL);
	if (target->biff_user != NULL && mbox.is_regular && act_is_good(ret))
		biff_notify(target->biff_user, mbox.start);
	if (mbox.fd >= 0)
		(void)close(mbox.fd);
	if (mbox.dotlock != NULL)
		(void)unlinkat(target->dir_fd, mbox.dotlock, 0);
	free(mbox.dotlock);
}
