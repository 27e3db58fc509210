/* SPDX-License-Identifier: MIT */
/*
 * Atomic change of a configuration file: write beside it, fsync, rename, fsync the directory. Run
 * by commands with the privilege of the administrator who calls them.
 */

#include "conf/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "conf/dict.h"

/*
 * Opens and locks the file beside. Who waited for the lock may find that the file was renamed
 * into place meanwhile; then it takes another one.
 */
static int open_temp(const char *path)
{
	for (;;) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		struct stat ours, there;

		if (fd < 0)
			return -1;
		if (flock(fd, LOCK_EX) == 0 && fstat(fd, &ours) == 0 && stat(path, &there) == 0 &&
		    ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
			if (S_ISREG(ours.st_mode) && ftruncate(fd, 0) == 0)
				return fd;
			close(fd);
			return -1;
		}
		close(fd);
	}
}

static void release(struct conf_edit *edit)
{
	close(edit->temp_fd);
	buf_done(&edit->text);
	free(edit->path);
	free(edit->temp_path);
}

bool conf_edit_begin(struct conf_edit *edit, const char *path)
{
	char *real = realpath(path, NULL);

	if (real == NULL)
		return false;
	edit->path = real;
	edit->temp_path = mem_printf("%s.tmp", real);
	edit->temp_fd = open_temp(edit->temp_path);
	if (edit->temp_fd >= 0 && conf_file_read(real, &edit->text))
		return true;
	if (edit->temp_fd >= 0) {
		int saved = errno;

		(void)unlink(edit->temp_path);
		close(edit->temp_fd);
		errno = saved;
	}
	free(edit->path);
	free(edit->temp_path);
	return false;
}

void conf_edit_cancel(struct conf_edit *edit)
{
	(void)unlink(edit->temp_path);
	release(edit);
}

static bool sync_directory_of(const char *path)
{
	size_t length = (size_t)(strrchr(path, '/') - path) + 1;
	char *directory = mem_dup(span_first(span_of(path), length));
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool is_good = fd >= 0 && fsync(fd) == 0;

	free(directory);
	if (fd >= 0)
		close(fd);
	return is_good;
}

bool conf_edit_commit(struct conf_edit *edit, struct span text)
{
	struct stat st;
	int saved;

	if (stat(edit->path, &st) == 0 &&
	    (fchown(edit->temp_fd, st.st_uid, st.st_gid) == 0 || errno == EPERM) &&
	    fchmod(edit->temp_fd, st.st_mode & 07777) == 0 && fd_write_all(edit->temp_fd, text) &&
	    fsync(edit->temp_fd) == 0 && rename(edit->temp_path, edit->path) == 0) {
		bool is_good = sync_directory_of(edit->path);

		release(edit);
		return is_good;
	}
	saved = errno;
	conf_edit_cancel(edit);
	errno = saved;
	return false;
}
