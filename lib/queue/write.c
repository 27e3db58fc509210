/* SPDX-License-Identifier: MIT */
/*
 * Writing queue files; see file.h. The order is what makes 250 a promise: everything but the
 * header, then the header, fsync of the file, fsync of its directory. A failed fsync is final
 * for the descriptor: the file is removed and nothing is tried again.
 */

#include "queue/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/fd.h"
#include "base/utf8.h"
#include "queue/envelope.h"
#include "queue/header.h"

enum { PENDING_BYTES = 256 * 1024 };

/*
 * The lock says that the file has a writer. One that stood still between creating and locking for
 * longer than qmgr leaves such files alone has lost it; ESTALE then.
 */
static bool lock_new(int fd)
{
	struct stat st;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0)
		return false;
	errno = ESTALE;
	return st.st_nlink == 1;
}

bool queue_write_open(struct queue_writer *writer, int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
			QUEUE_MESSAGE_MODE);

	if (fd < 0)
		return false;
	if (!lock_new(fd)) {
		int saved = errno;

		(void)close(fd);
		(void)unlinkat(dir_fd, name, 0);
		errno = saved;
		return false;
	}

	struct buf pending = writer->pending;

	*writer = (struct queue_writer){ .fd = fd, .dir_fd = dir_fd, .pending = pending };
	if (writer->pending.limit_bytes == 0)
		buf_init(&writer->pending, SIZE_MAX / 4);
	buf_shrink(&writer->pending, PENDING_BYTES + PENDING_BYTES);
	(void)snprintf(writer->name, sizeof(writer->name), "%s", name);
	writer->header.arrival = clock_wall_now();
	/* The header's place; zeros until the commit. */
	(void)memset(buf_room(&writer->pending, QUEUE_HEADER_BYTES), 0, QUEUE_HEADER_BYTES);
	buf_grew(&writer->pending, QUEUE_HEADER_BYTES);
	writer->at = QUEUE_HEADER_BYTES;
	writer->header.body.offset = writer->at;
	return true;
}

static void write_pending(struct queue_writer *writer)
{
	if (writer->error == 0 && !fd_write_all(writer->fd, buf_span(&writer->pending)))
		writer->error = errno;
	buf_reset(&writer->pending);
}

static void put(struct queue_writer *writer, struct queue_section *section, struct span bytes)
{
	if (section->size == 0)
		section->offset = writer->at;
	section->size += bytes.n;
	section->crc = crc32c(section->crc, bytes.p, bytes.n);
	writer->at += bytes.n;
	while (bytes.n > 0) {
		struct span part = span_first(bytes, PENDING_BYTES);

		(void)buf_add(&writer->pending, part);
		bytes = span_from(bytes, part.n);
		if (writer->pending.length >= PENDING_BYTES)
			write_pending(writer);
	}
}

void queue_write_body(struct queue_writer *writer, struct span bytes)
{
	put(writer, &writer->header.body, bytes);
}

void queue_write_body_again(struct queue_writer *writer)
{
	writer->header.body = (struct queue_section){ .offset = writer->at };
}

void queue_write_head(struct queue_writer *writer, struct span bytes)
{
	if (utf8_has_8bit(bytes))
		writer->header.content |= CONTENT_8BIT | CONTENT_HEAD_8BIT;
	put(writer, &writer->header.head, bytes);
}

void queue_write_envelope(struct queue_writer *writer, const struct msg_envelope *envelope)
{
	struct buf record = BUF_INIT(IPC_RECORD_MAX);

	writer->header.flags = envelope->flags;
	if (msg_envelope_encode(&record, envelope))
		put(writer, &writer->header.envelope, buf_span(&record));
	else if (writer->error == 0)
		writer->error = EMSGSIZE;
	buf_done(&record);
}

void queue_write_rcpt(struct queue_writer *writer, const struct msg_rcpt *rcpt)
{
	struct buf record = BUF_INIT(IPC_RECORD_MAX);

	(void)buf_char(&record, RCPT_TODO);
	writer->header.rcpt_count++;
	if (writer->at > UINT32_MAX - IPC_RECORD_MAX)
		writer->error = EFBIG; /* a recipient's offset has 32 bits */
	if (msg_rcpt_encode(&record, rcpt))
		put(writer, &writer->header.envelope, buf_span(&record));
	else if (writer->error == 0)
		writer->error = EMSGSIZE;
	buf_done(&record);
}

static void put_section(unsigned char *at, const struct queue_section *section)
{
	queue_put_le(at, 8, section->offset);
	queue_put_le(at + 8, 8, section->size);
	queue_put_le(at + 16, 4, section->crc);
}

static void write_header(struct queue_writer *writer)
{
	const struct queue_header *header = &writer->header;
	unsigned char raw[HEADER_AT_CRC + 4] = { 0 };
	ssize_t size;

	memcpy(raw, QUEUE_MAGIC, sizeof(QUEUE_MAGIC) - 1);
	queue_put_le(raw + HEADER_AT_VERSION, 4, QUEUE_VERSION);
	queue_put_le(raw + HEADER_AT_ARRIVAL, 8, (uint64_t)header->arrival.us);
	put_section(raw + HEADER_AT_BODY, &header->body);
	put_section(raw + HEADER_AT_HEAD, &header->head);
	put_section(raw + HEADER_AT_ENVELOPE, &header->envelope);
	queue_put_le(raw + HEADER_AT_RCPTS, 4, header->rcpt_count);
	queue_put_le(raw + HEADER_AT_CONTENT, 4, header->content);
	queue_put_le(raw + HEADER_AT_FLAGS, 4, header->flags);
	queue_put_le(raw + HEADER_AT_CRC, 4, crc32c(0, raw, HEADER_AT_CRC));

	/* A message that is still whole in memory goes out in one write, header and all. */
	if (writer->pending.length == writer->at) {
		memcpy(writer->pending.data, raw, sizeof(raw));
		write_pending(writer);
		return;
	}
	write_pending(writer);
	if (writer->error != 0)
		return;
	do {
		size = pwrite(writer->fd, raw, sizeof(raw), 0);
	} while (size < 0 && errno == EINTR);
	if (size != (ssize_t)sizeof(raw))
		writer->error = size < 0 ? errno : ENOSPC;
}

int queue_write_commit(struct queue_writer *writer)
{
	write_header(writer);
	if (writer->error == 0 && fsync(writer->fd) < 0)
		writer->error = errno;
	if (writer->error == 0 && fsync(writer->dir_fd) < 0)
		writer->error = errno;

	int error = writer->error;

	if (error != 0) {
		queue_write_abort(writer);
		return error;
	}
	(void)close(writer->fd);
	writer->fd = -1;
	return 0;
}

void queue_write_abort(struct queue_writer *writer)
{
	if (writer->fd < 0)
		return;
	(void)unlinkat(writer->dir_fd, writer->name, 0);
	(void)close(writer->fd);
	writer->fd = -1;
	buf_reset(&writer->pending);
}
