/* SPDX-License-Identifier: MIT */
/*
 * Logs of outcomes; see outcomes.h. Written by bounce alone, one process at a time by a lock;
 * read by bounce, showq and the commands, who trust no length in them.
 */

#include "queue/outcomes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/fd.h"
#include "queue/header.h"

static const char magic[8] = "PQLOG1\n";

enum { HEADER_BYTES = 16, CRC_BYTES = 4, SHORT_BYTES = 4096 };

/* What the header says of a log that has so many bytes: of records that count. 0 for a new log. */
static uint64_t count_of(const unsigned char *raw, ssize_t size, uint64_t file_bytes)
{
	uint64_t count;

	if (size < HEADER_BYTES || memcmp(raw, magic, sizeof(magic)) != 0)
		return 0;
	count = queue_get_le(raw + 8, 8);
	return count < file_bytes - HEADER_BYTES ? count : file_bytes - HEADER_BYTES;
}

/* Bytes of records that count. `*ret_is_cut`: the header has more. False with errno. */
static bool read_count(int fd, uint64_t *ret_count, bool *ret_is_cut)
{
	unsigned char raw[HEADER_BYTES];
	struct stat st;
	ssize_t size = pread(fd, raw, sizeof(raw), 0);

	if (size < 0 || fstat(fd, &st) < 0)
		return false;
	*ret_count = count_of(raw, size, (uint64_t)st.st_size);
	*ret_is_cut = *ret_count > 0 && *ret_count < queue_get_le(raw + 8, 8);
	return true;
}

/* The records that count, behind what is in `ret`. 0 or an errno. */
static int read_records(int fd, uint64_t count, struct buf *ret)
{
	uint64_t at = 0;

	while (at < count) {
		size_t size = count - at < 65536 ? (size_t)(count - at) : 65536;
		char *room = buf_room(ret, size);
		ssize_t done = room != NULL ? pread(fd, room, size, (off_t)(HEADER_BYTES + at)) : -1;

		if (room == NULL)
			return EFBIG;
		if (done < 0 && errno != EINTR)
			return errno;
		if (done == 0)
			return 0;
		if (done > 0) {
			buf_grew(ret, (size_t)done);
			at += (uint64_t)done;
		}
	}
	return 0;
}

/* Where to append: behind what counts. When a power cut took the end of that, readers would stop at
 * what is left of the last record, so it goes. False with errno. */
static bool find_end(int fd, uint64_t *ret_count)
{
	struct buf log = BUF_INIT(SIZE_MAX / 4);
	struct msg_outcome outcome;
	struct span rest;
	bool is_cut;
	int error = 0;

	if (!read_count(fd, ret_count, &is_cut))
		return false;
	if (is_cut) {
		error = read_records(fd, *ret_count, &log);
		rest = buf_span(&log);
		while (queue_outcomes_next(&rest, &outcome))
			;
		*ret_count = log.length - rest.n;
	}
	buf_done(&log);
	errno = error;
	return error == 0;
}

/* A log that is shorter than that is read at once: most are. */
static bool read_short(int fd, struct buf *ret)
{
	unsigned char raw[SHORT_BYTES] NOT_CLEARED;
	ssize_t size = pread(fd, raw, sizeof(raw), 0);

	if (size < 0 || size == sizeof(raw))
		return false;
	return buf_append(ret, raw + HEADER_BYTES, (size_t)count_of(raw, size, (uint64_t)size));
}

static void add_record(struct buf *out, struct span record)
{
	unsigned char crc[CRC_BYTES];

	queue_put_le(crc, sizeof(crc), crc32c(0, record.p, record.n));
	(void)buf_append(out, crc, sizeof(crc));
	(void)buf_add(out, record);
}

static bool append_to(int fd, struct span outcomes)
{
	struct buf records = BUF_INIT(2 * IPC_RECORD_MAX);
	unsigned char header[HEADER_BYTES];
	struct msg_outcome outcome;
	uint64_t count;
	bool is_done;

	while (outcomes.n > 0) {
		struct span record = outcomes;

		if (!msg_outcome_decode(&outcomes, &outcome)) {
			errno = EINVAL;
			buf_done(&records);
			return false;
		}
		record.n -= outcomes.n;
		add_record(&records, record);
	}
	if (!find_end(fd, &count)) {
		buf_done(&records);
		return false;
	}
	memcpy(header, magic, sizeof(magic));
	queue_put_le(header + 8, 8, count + records.length);
	is_done = fd_write_all_at(fd, buf_span(&records), HEADER_BYTES + count) &&
		  fd_write_all_at(fd, (struct span){ (const char *)header, sizeof(header) }, 0);
	if (!is_done) {
		int saved = errno;

		/* What counts is as it was, if only the old count can still be written. */
		queue_put_le(header + 8, 8, count);
		(void)!fd_write_all_at(fd, (struct span){ (const char *)header, sizeof(header) }, 0);
		errno = saved;
	}
	buf_done(&records);
	return is_done;
}

bool queue_outcomes_append(const struct queue_dirs *dirs, enum queue_dir dir, const char *id,
			   struct span outcomes, bool is_durable)
{
	int fd = openat(dirs->fds[dir], id, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool is_done;

	if (fd < 0)
		return false;
	is_done = flock(fd, LOCK_EX) == 0 && append_to(fd, outcomes);
	if (is_done && is_durable)
		is_done = fsync(fd) == 0 && fsync(dirs->fds[dir]) == 0;

	int saved = errno;

	(void)close(fd);
	errno = saved;
	return is_done;
}

bool queue_outcomes_read(const struct queue_dirs *dirs, enum queue_dir dir, const char *id,
			 struct buf *ret)
{
	int fd = queue_open_in(dirs, dir, id, O_RDONLY), error;
	uint64_t count;
	bool is_cut;

	if (fd < 0)
		return false;
	if (read_short(fd, ret)) {
		(void)close(fd);
		return true;
	}
	error = read_count(fd, &count, &is_cut) ? read_records(fd, count, ret) : errno;
	(void)close(fd);
	errno = error;
	return error == 0;
}

bool queue_outcomes_next(struct span *rest, struct msg_outcome *ret)
{
	if (rest->n <= CRC_BYTES)
		return false;

	uint32_t crc = (uint32_t)queue_get_le((const unsigned char *)rest->p, CRC_BYTES);
	struct span record = span_from(*rest, CRC_BYTES), behind = record;

	if (!msg_outcome_decode(&behind, ret) ||
	    crc32c(0, record.p, record.n - behind.n) != crc)
		return false;
	*rest = behind;
	return true;
}
