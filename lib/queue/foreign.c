/* SPDX-License-Identifier: MIT */
/* Seeing Postfix's queue files before anything is done to them; see foreign.h. Run as root. */

#include "queue/foreign.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/dirs.h"

/* Its first record is the size record: "C", a length byte, numbers padded with blanks. */
static bool is_foreign_file(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	char start[4] = "";
	bool is_foreign = fd >= 0 && read(fd, start, sizeof(start)) == (ssize_t)sizeof(start) &&
			  start[0] == 'C' && start[2] == ' ' && start[3] == ' ';

	if (fd >= 0)
		(void)close(fd);
	return is_foreign;
}

/* Looks at the first regular file, in `levels` levels of directories. */
static bool has_foreign(int dir_fd, int levels)
{
	DIR *stream = fdopendir(dir_fd);
	struct dirent *entry;
	bool is_foreign = false, has_looked = false;

	if (stream == NULL) {
		(void)close(dir_fd);
		return false;
	}
	while (!is_foreign && !has_looked && (entry = readdir(stream)) != NULL) {
		struct stat st;

		if (entry->d_name[0] == '.' ||
		    fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISREG(st.st_mode)) {
			is_foreign = is_foreign_file(dir_fd, entry->d_name);
			has_looked = true;
		} else if (S_ISDIR(st.st_mode) && levels > 0) {
			int below = openat(dir_fd, entry->d_name,
					   O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			is_foreign = below >= 0 && has_foreign(below, levels - 1);
		}
	}
	(void)closedir(stream);
	return is_foreign;
}

bool queue_is_foreign(const char *queue_directory)
{
	static const enum queue_dir places[] = { QUEUE_INCOMING, QUEUE_ACTIVE, QUEUE_DEFERRED,
						 QUEUE_HOLD };
	int queue_fd = open(queue_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool is_foreign = false;

	for (size_t i = 0; queue_fd >= 0 && !is_foreign && i < ARRAY_LEN(places); i++) {
		int fd = openat(queue_fd, queue_dir_name(places[i]),
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		is_foreign = fd >= 0 && has_foreign(fd, 1);
	}
	if (queue_fd >= 0)
		(void)close(queue_fd);
	return is_foreign;
}
