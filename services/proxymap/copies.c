/* SPDX-License-Identifier: MIT */
/* Copies of files for root alone; see copies.h. Runs in proxymap: made as root, used as uid secret. */

#include "services/proxymap/copies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/snapshot.h"
#include "proc/service.h"

enum { COPY_BYTES_MAX = 64 * 1024 * 1024 };

struct copy {
	struct copy *next;
	char *path;
	int fd;            /* a sealed memory file */
	uint32_t programs; /* who may see it: bits 1 << enum conf_program */
};

static struct {
	struct copy *copies;
	uint32_t client; /* who is served: its bit, or 0 */
} self;

static struct copy *find(const char *path)
{
	struct copy *copy = self.copies;

	while (copy != NULL && strcmp(copy->path, path) != 0)
		copy = copy->next;
	return copy;
}

/* The bytes as a file that nobody can change; -1 with errno. */
static int make_file(struct span bytes)
{
	int fd = memfd_create("database", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && fd_write_all(fd, bytes) &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

/* While nobody writes to it: writers have the exclusive lock. */
static int copy_file(int fd)
{
	struct buf bytes = BUF_INIT(COPY_BYTES_MAX);
	int copy = -1;

	if (flock(fd, LOCK_SH) == 0 && buf_read(&bytes, fd))
		copy = make_file(buf_span(&bytes));
	if (bytes.data != NULL)
		explicit_bzero(bytes.data, bytes.capacity);
	buf_done(&bytes);
	return copy;
}

/* Whether others may not read it. A file that is missing, or no file, is the business of its user. */
static bool is_for_root(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH) == 0;
}

static void add(const char *path, uint32_t programs)
{
	struct copy *known = find(path);
	int fd, copy;

	if (known != NULL) {
		known->programs |= programs;
		return;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	service_watch_file(path);
	if (is_for_root(fd)) {
		copy = copy_file(fd);
		if (copy < 0)
			log_warn("cannot copy %s: %s", path, strerror(errno));
		known = NEW(struct copy);
		*known = (struct copy){ self.copies, mem_dup_str(path), copy, programs };
		self.copies = known;
	}
	if (fd >= 0)
		(void)close(fd);
}

void copies_prepare(void)
{
	struct span rest = { NULL, 0 }, line, number, path;
	uint64_t programs;

	/* In an instance of one user there is nobody to be kept away. */
	if (service.is_single_uid)
		return;
	(void)conf_snapshot_extra_get("databases", &rest);
	while (span_line(&rest, &line)) {
		char *name;

		if (!span_cut(line, ' ', &number, &path) || !span_u64(number, UINT32_MAX, &programs))
			panic("databases: malformed line");
		name = mem_dup(path);
		add(name, (uint32_t)programs);
		free(name);
	}
}

void copies_serve(const char *client)
{
	enum conf_program program;

	self.client = conf_program_find(client, &program) ? 1u << program : 0;
}

int copies_open(const char *path)
{
	const struct copy *copy = find(path);

	if (copy == NULL || copy->fd < 0 || (copy->programs & self.client) == 0) {
		errno = EACCES;
		return -1;
	}
	return fcntl(copy->fd, F_DUPFD_CLOEXEC, 0);
}
