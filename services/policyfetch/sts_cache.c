/* SPDX-License-Identifier: MIT */
/*
 * Files of MTA-STS policies; see sts_cache.h. Runs in policyfetch, in its jail. Domains have been
 * checked to be host names, so none is a path; names that begin with "#" are our own.
 */

#include "services/policyfetch/sts_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/domain.h"
#include "proc/service.h"
#include "services/policyfetch/locks.h"

enum { KEEP_PERCENT = 90 };

static struct {
	int directory;
	atomic_size_t *count; /* of files, in all workers */
} self = { -1, NULL };

void sts_cache_open(void)
{
	self.directory = service_own_directory("mta-sts");
}

/* ---- reading ---- */

static const char *file_name(struct span domain, char *out, size_t size)
{
	(void)snprintf(out, size, "%.*s", SPAN_ARG(domain));
	return out;
}

bool sts_cache_get(struct span domain, struct buf *wire, struct msg_sts_entry *ret)
{
	char name[DOMAIN_NAME_MAX + 1];
	int fd = openat(self.directory, file_name(domain, name, sizeof(name)),
			O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool is_good;

	buf_reset(wire);
	if (fd < 0)
		return false;
	is_good = buf_read(wire, fd);
	(void)close(fd);
	is_good = is_good && sts_entry_read(buf_span(wire), domain, ret);
	if (!is_good)
		log_warn("the MTA-STS policy that was kept for %s is damaged", log_clean(domain));
	return is_good;
}

/* ---- how many ---- */

struct file {
	char *name;
	int64_t until_s;
};

static int compare_files(const void *left, const void *right)
{
	const struct file *a = left, *b = right;

	return a->until_s < b->until_s ? -1 : a->until_s > b->until_s;
}

static struct file *list_files(DIR *directory, size_t *ret_count)
{
	struct file *files = NULL;
	const struct dirent *entry;
	size_t count = 0, room = 0;
	struct stat st;

	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.' || entry->d_name[0] == '#' ||
		    fstatat(self.directory, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (count == room) {
			room = room * 2 + 64;
			files = mem_resize(files, room * sizeof(*files));
		}
		files[count++] = (struct file){ mem_dup_str(entry->d_name), st.st_mtim.tv_sec };
	}
	*ret_count = count;
	return files;
}

/* Removes what is of no use; and where that is not enough, what will be next. */
static void clean(void)
{
	DIR *directory = fd_open_dir(self.directory, ".");
	int64_t now_s = clock_wall_now().us / 1000000;
	struct file *files;
	size_t count, left, most = STS_CACHE_MAX;

	if (directory == NULL) {
		log_warn("cannot read the directory of MTA-STS policies: %s", strerror(errno));
		return;
	}
	files = list_files(directory, &count);
	left = count;
	if (count > 0)
		qsort(files, count, sizeof(*files), compare_files);
	for (size_t i = 0; i < count; i++) {
		/* Behind what has expired; some room more, so that the next one has not to do it again. */
		if (files[i].until_s >= now_s && left > most)
			most = STS_CACHE_MAX * KEEP_PERCENT / 100;
		if ((files[i].until_s < now_s || left > most) &&
		    unlinkat(self.directory, files[i].name, 0) == 0)
			left--;
		free(files[i].name);
	}
	free(files);
	(void)closedir(directory);
	atomic_store(self.count, left);
}

void sts_cache_start(void)
{
	self.count = mem_shared(sizeof(*self.count));
	atomic_init(self.count, 0);
	locks_open(self.directory);
	clean();
}

/* ---- writing ---- */

static bool write_file(const char *name, struct span bytes, int64_t until_s)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = until_s } };
	int fd = openat(self.directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0600);
	bool is_good = fd >= 0 && fd_write_all(fd, bytes) && futimens(fd, times) == 0 && fsync(fd) == 0;

	/* A failure of close() is one of the disk; fsync() has had it. */
	if (fd >= 0)
		(void)close(fd);
	return is_good;
}

static bool replace(const char *temp, const char *name)
{
	if (renameat2(self.directory, temp, self.directory, name, RENAME_NOREPLACE) == 0) {
		if (atomic_fetch_add(self.count, 1) >= STS_CACHE_MAX)
			clean();
		return true;
	}
	return errno == EEXIST && renameat(self.directory, temp, self.directory, name) == 0;
}

void sts_cache_put(const struct msg_sts_entry *entry, int64_t until_s)
{
	struct buf wire = BUF_INIT(STS_ENTRY_MAX);
	char name[DOMAIN_NAME_MAX + 1], temp[32];

	(void)snprintf(temp, sizeof(temp), "#%ld", (long)getpid());
	if (!msg_sts_entry_encode(&wire, entry) || !write_file(temp, buf_span(&wire), until_s) ||
	    !replace(temp, file_name(entry->domain, name, sizeof(name)))) {
		log_warn("cannot keep the MTA-STS policy of %s: %s", log_clean(entry->domain),
			 strerror(errno));
		(void)unlinkat(self.directory, temp, 0);
	}
	buf_done(&wire);
}
