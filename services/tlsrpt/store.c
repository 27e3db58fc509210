/* SPDX-License-Identifier: MIT */
/*
 * Files of periods: DOMAIN!BEGIN in the directory that store_prepare() has made, replaced as a whole. Runs
 * in tlsrpt, in its jail. Domains have been checked to be host names, so none is a path; names that
 * begin with "#" are our own.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "proc/service.h"
#include "services/tlsrpt/tlsrpt.h"

static int directory = -1;

static const char temporary[] = "#new";

void store_prepare(void)
{
	directory = service_own_directory("reports");
}

void store_name(struct span domain, int64_t begin_s, char ret_name[STORE_NAME_MAX])
{
	(void)snprintf(ret_name, STORE_NAME_MAX, "%.*s!%" PRId64, SPAN_ARG(span_first(domain, 255)),
		       begin_s);
}

static bool write_new(struct span bytes)
{
	int fd = openat(directory, temporary,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool is_good = fd >= 0 && fd_write_all(fd, bytes) && fdatasync(fd) == 0;

	if (fd >= 0)
		(void)close(fd);
	return is_good;
}

bool store_write(const struct msg_tlsrpt_period *period, const struct sums *sums)
{
	struct buf wire = BUF_INIT(STORE_BYTES_MAX);
	char name[STORE_NAME_MAX];
	bool is_good = sums_encode(period, sums, &wire);

	store_name(period->domain, period->begin_s, name);
	if (!is_good)
		errno = EFBIG;
	is_good = is_good && write_new(buf_span(&wire)) &&
		  renameat(directory, temporary, directory, name) == 0;
	if (!is_good)
		log_warn("cannot keep the TLS results of %s: %s", log_clean(period->domain),
			 strerror(errno));
	buf_done(&wire);
	return is_good;
}

bool store_read(const char *name, struct buf *wire, struct msg_tlsrpt_period *ret_period,
		struct sums *ret)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char expected[STORE_NAME_MAX];
	bool is_good = false;

	buf_reset(wire);
	if (fd >= 0 && buf_read(wire, fd) && sums_decode(buf_span(wire), ret_period, ret)) {
		store_name(ret_period->domain, ret_period->begin_s, expected);
		is_good = strcmp(name, expected) == 0;
		if (!is_good)
			sums_done(ret);
	}
	if (fd >= 0)
		(void)close(fd);
	if (!is_good)
		log_warn("the TLS results in %s cannot be read, or are damaged",
			 log_clean_str(name));
	return is_good;
}

enum store_claim store_claim(const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return errno == ENOENT ? STORE_GONE : STORE_BUSY;
	/* Until this process ends. */
	return flock(fd, LOCK_EX | LOCK_NB) == 0 ? STORE_MINE : STORE_BUSY;
}

void store_remove(const char *name)
{
	if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
		log_warn("cannot remove the TLS results in %s: %s", log_clean_str(name),
			 strerror(errno));
}

void store_list(struct buf *ret_names)
{
	DIR *stream = fd_open_dir(directory, ".");
	const struct dirent *entry;

	if (stream == NULL) {
		log_warn("cannot read the directory of TLS results: %s", strerror(errno));
		return;
	}
	while ((entry = readdir(stream)) != NULL)
		if (entry->d_name[0] != '.' && entry->d_name[0] != '#')
			(void)buf_append(ret_names, entry->d_name, strlen(entry->d_name) + 1);
	(void)closedir(stream);
}
