/* SPDX-License-Identifier: MIT */
/*
 * Reading and marking queue files; see file.h. Readers trust nothing in the file before its
 * check, and bound every length by the file's size. Writing is in write.c.
 */

#include "queue/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "queue/header.h"

enum { ENVELOPE_MAX = 256 * 1024 * 1024, BODY_BLOCK_BYTES = 64 * 1024 };

uint64_t queue_get_le(const unsigned char *at, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

void queue_put_le(unsigned char *at, size_t size, uint64_t value)
{
	for (size_t i = 0; i < size; i++)
		at[i] = (unsigned char)(value >> (8 * i));
}

static void get_section(const unsigned char *at, struct queue_section *ret)
{
	ret->offset = queue_get_le(at, 8);
	ret->size = queue_get_le(at + 8, 8);
	ret->crc = (uint32_t)queue_get_le(at + 16, 4);
}

static bool is_inside(const struct queue_section *section, uint64_t file_size)
{
	return section->offset >= QUEUE_HEADER_BYTES && section->offset <= file_size &&
	       section->size <= file_size - section->offset;
}

/* All `size` bytes at `offset`: false with errno, EBADMSG when the file is too short. */
static bool read_at(int fd, void *data, size_t size, uint64_t offset)
{
	char *at = data;

	while (size > 0) {
		ssize_t done = pread(fd, at, size, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done == 0)
			errno = EBADMSG;
		if (done <= 0)
			return false;
		at += done;
		size -= (size_t)done;
		offset += (uint64_t)done;
	}
	return true;
}

enum queue_check queue_read_header(int fd, struct queue_header *ret_header)
{
	unsigned char raw[QUEUE_HEADER_BYTES];
	struct queue_header header;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return QUEUE_IO_ERROR;
	if (st.st_size < QUEUE_HEADER_BYTES)
		return QUEUE_UNFINISHED;
	if (!read_at(fd, raw, sizeof(raw), 0))
		return errno == EBADMSG ? QUEUE_UNFINISHED : QUEUE_IO_ERROR;
	if (queue_get_le(raw, 8) == 0)
		return QUEUE_UNFINISHED;
	if (memcmp(raw, QUEUE_MAGIC, sizeof(QUEUE_MAGIC) - 1) != 0 ||
	    queue_get_le(raw + HEADER_AT_VERSION, 4) != QUEUE_VERSION ||
	    queue_get_le(raw + HEADER_AT_CRC, 4) != crc32c(0, raw, HEADER_AT_CRC))
		return QUEUE_DAMAGED;
	header.arrival.us = (int64_t)queue_get_le(raw + HEADER_AT_ARRIVAL, 8);
	get_section(raw + HEADER_AT_BODY, &header.body);
	get_section(raw + HEADER_AT_HEAD, &header.head);
	get_section(raw + HEADER_AT_ENVELOPE, &header.envelope);
	header.rcpt_count = (uint32_t)queue_get_le(raw + HEADER_AT_RCPTS, 4);
	header.content = (uint32_t)queue_get_le(raw + HEADER_AT_CONTENT, 4);
	header.flags = (uint32_t)queue_get_le(raw + HEADER_AT_FLAGS, 4);
	if (!is_inside(&header.body, (uint64_t)st.st_size) ||
	    !is_inside(&header.head, (uint64_t)st.st_size) ||
	    !is_inside(&header.envelope, (uint64_t)st.st_size))
		return QUEUE_DAMAGED;
	*ret_header = header;
	return QUEUE_GOOD;
}

/* CRC of the envelope section with every status byte taken as zero. */
static uint32_t envelope_crc(struct span section)
{
	static const char zero[1];
	struct span rest = section;
	struct msg_envelope envelope;
	uint32_t crc;

	if (!msg_envelope_decode(&rest, &envelope))
		return crc32c(0, section.p, section.n);
	crc = crc32c(0, section.p, section.n - rest.n);
	while (rest.n > 0) {
		struct span record = span_from(rest, 1);
		struct msg_rcpt rcpt;
		struct span behind = record;

		if (!msg_rcpt_decode(&behind, &rcpt))
			return crc32c(crc, rest.p, rest.n);
		crc = crc32c(crc, zero, 1);
		crc = crc32c(crc, record.p, record.n - behind.n);
		rest = behind;
	}
	return crc;
}

static enum queue_check read_envelope_section(struct queue_file *file)
{
	const struct queue_section *section = &file->header.envelope;

	buf_init(&file->envelope, ENVELOPE_MAX);
	if (section->size > ENVELOPE_MAX)
		return QUEUE_DAMAGED;

	char *room = buf_room(&file->envelope, (size_t)section->size);

	if (!read_at(file->fd, room, (size_t)section->size, section->offset))
		return errno == EBADMSG ? QUEUE_DAMAGED : QUEUE_IO_ERROR;
	buf_grew(&file->envelope, (size_t)section->size);
	if (envelope_crc(buf_span(&file->envelope)) != section->crc)
		return QUEUE_DAMAGED;
	return QUEUE_GOOD;
}

enum queue_check queue_read_open(struct queue_file *file, int fd)
{
	enum queue_check check;

	*file = (struct queue_file){ .fd = fd };
	check = queue_read_header(fd, &file->header);
	if (check == QUEUE_GOOD)
		check = read_envelope_section(file);
	if (check != QUEUE_GOOD) {
		int saved = errno;

		queue_read_close(file);
		errno = saved;
	}
	return check;
}

void queue_read_close(struct queue_file *file)
{
	if (file->fd >= 0)
		(void)close(file->fd);
	file->fd = -1;
	buf_done(&file->envelope);
}

bool queue_read_envelope(const struct queue_file *file, struct msg_envelope *ret)
{
	struct span rest = buf_span(&file->envelope);

	return msg_envelope_decode(&rest, ret);
}

bool queue_read_rcpt(const struct queue_file *file, size_t *at, enum rcpt_status *ret_status,
		     struct msg_rcpt *ret)
{
	struct span section = buf_span(&file->envelope), rest = section;
	struct msg_envelope envelope;

	if (*at == 0) {
		if (!msg_envelope_decode(&rest, &envelope))
			return false;
		*at = section.n - rest.n;
	}
	rest = span_from(section, *at);
	if (rest.n < 2)
		return false;

	char status = rest.p[0];

	rest = span_from(rest, 1);
	if (!msg_rcpt_decode(&rest, ret))
		return false;
	ret->offset = (uint32_t)(file->header.envelope.offset + *at);
	*ret_status = status == RCPT_DONE ? RCPT_DONE : RCPT_TODO;
	*at = section.n - rest.n;
	return true;
}

bool queue_read_head(int fd, const struct queue_header *header, struct buf *out)
{
	char *room = buf_room(out, (size_t)header->head.size);

	if (room == NULL) {
		errno = EFBIG;
		return false;
	}
	if (!read_at(fd, room, (size_t)header->head.size, header->head.offset))
		return false;
	if (crc32c(0, room, (size_t)header->head.size) != header->head.crc) {
		errno = EBADMSG;
		return false;
	}
	buf_grew(out, (size_t)header->head.size);
	return true;
}

void queue_body_start(struct queue_body *body, int fd, const struct queue_header *header)
{
	*body = (struct queue_body){ .fd = fd, .section = header->body };
	body->block_size = header->body.size < BODY_BLOCK_BYTES ? (size_t)header->body.size
								: BODY_BLOCK_BYTES;
	body->block = mem_resize(NULL, body->block_size);
}

enum body_status queue_body_next(struct queue_body *body, struct span *ret_block)
{
	uint64_t left = body->section.size - body->done;
	size_t size = left < body->block_size ? (size_t)left : body->block_size;

	if (size == 0)
		return body->crc == body->section.crc ? BODY_END : BODY_DAMAGED;
	if (!read_at(body->fd, body->block, size, body->section.offset + body->done))
		return errno == EBADMSG ? BODY_DAMAGED : BODY_IO_ERROR;
	body->crc = crc32c(body->crc, body->block, size);
	body->done += size;
	*ret_block = (struct span){ body->block, size };
	return BODY_BLOCK;
}

void queue_body_done(struct queue_body *body)
{
	free(body->block);
	body->block = NULL;
}

uint64_t queue_message_size(const struct queue_header *header)
{
	return header->head.size + 2 + header->body.size;
}

static bool write_at(int fd, const void *data, size_t size, uint64_t offset)
{
	ssize_t done;

	do {
		done = pwrite(fd, data, size, (off_t)offset);
	} while (done < 0 && errno == EINTR);
	if (done >= 0 && (size_t)done != size)
		errno = ENOSPC;
	return done >= 0 && (size_t)done == size;
}

bool queue_mark_rcpt(int fd, uint32_t offset)
{
	char mark = RCPT_DONE;

	return write_at(fd, &mark, 1, offset);
}

enum { NOTE_WARNED = 1, NOTE_EXPIRED = 2, NOTE_SILENT = 4 };

bool queue_read_notes(int fd, struct queue_notes *ret)
{
	unsigned char raw[8];

	if (!read_at(fd, raw, sizeof(raw), QUEUE_MUTABLE_AT))
		return false;
	*ret = (struct queue_notes){ .warning_sent = (raw[0] & NOTE_WARNED) != 0,
				     .is_expired = (raw[0] & NOTE_EXPIRED) != 0,
				     .is_silent = (raw[0] & NOTE_SILENT) != 0,
				     .attempts = (uint32_t)queue_get_le(raw + 4, 4) };
	return true;
}

bool queue_write_notes(int fd, const struct queue_notes *notes)
{
	unsigned char raw[8] = { 0 };

	raw[0] = (unsigned char)((notes->warning_sent ? NOTE_WARNED : 0) |
				 (notes->is_expired ? NOTE_EXPIRED : 0) |
				 (notes->is_silent ? NOTE_SILENT : 0));
	queue_put_le(raw + 4, 4, notes->attempts);
	return write_at(fd, raw, sizeof(raw), QUEUE_MUTABLE_AT);
}

bool queue_flush(int fd)
{
	return fdatasync(fd) == 0;
}
