/* SPDX-License-Identifier: MIT */
/*
 * A queue file of any bytes. With an odd first byte its checksums are made right first, so that what
 * is behind the checks is reached too: a file that a broken writer made.
 */

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "deliver/message.h"
#include "queue/file.h"
#include "queue/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes of a section, as far as they are there. */
static struct span section_at(const unsigned char *file, size_t size, size_t at)
{
	uint64_t offset = queue_get_le(file + at, 8), length = queue_get_le(file + at + 8, 8);

	if (offset > size || length > size - offset)
		return (struct span){ NULL, 0 };
	return (struct span){ (const char *)file + offset, (size_t)length };
}

/* As lib/queue counts it: status bytes as zero. */
static uint32_t envelope_crc(struct span rest)
{
	static const char zero[1];
	struct span before = rest;
	struct msg_envelope envelope;
	struct msg_rcpt rcpt;
	uint32_t crc;

	if (!msg_envelope_decode(&rest, &envelope))
		return crc32c(0, rest.p, rest.n);
	crc = crc32c(0, before.p, before.n - rest.n);
	while (rest.n > 0) {
		before = span_from(rest, 1);

		struct span behind = before;

		if (!msg_rcpt_decode(&behind, &rcpt))
			return crc32c(crc, rest.p, rest.n);
		crc = crc32c(crc, zero, 1);
		crc = crc32c(crc, before.p, before.n - behind.n);
		rest = behind;
	}
	return crc;
}

static void mend(unsigned char *file, size_t size)
{
	static const size_t sections[] = { HEADER_AT_BODY, HEADER_AT_HEAD };
	struct span bytes;

	memcpy(file, QUEUE_MAGIC, sizeof(QUEUE_MAGIC) - 1);
	queue_put_le(file + HEADER_AT_VERSION, 4, QUEUE_VERSION);
	for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
		bytes = section_at(file, size, sections[i]);
		queue_put_le(file + sections[i] + 16, 4, crc32c(0, bytes.p, bytes.n));
	}
	bytes = section_at(file, size, HEADER_AT_ENVELOPE);
	queue_put_le(file + HEADER_AT_ENVELOPE + 16, 4, envelope_crc(bytes));
	queue_put_le(file + HEADER_AT_CRC, 4, crc32c(0, file, HEADER_AT_CRC));
}

static bool take(void *context UNUSED, struct span bytes)
{
	return bytes.n > 0;
}

/* As an agent delivers it. */
static void copy_out(int fd)
{
	const struct message_format formats[] = {
		{ .flags = MESSAGE_QUOTE_FROM | MESSAGE_BLANK_END, .from_line = SPAN("From x"),
		  .prefix = SPAN("A: b\n") },
		{ .flags = 0, .eol = SPAN("\r\n") },
	};
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		(void)!message_copy(fd, &formats[i], take, NULL);
		(void)!message_copy(fd, &formats[i], message_to_fd, &null);
	}
	(void)close(null);
}

static void read_all(struct queue_file *file)
{
	struct buf head = BUF_INIT(1 << 20);
	struct queue_notes notes;
	struct queue_body body;
	struct msg_envelope envelope;
	struct msg_rcpt rcpt;
	enum rcpt_status status;
	struct span block;
	size_t at = 0;

	if (queue_read_envelope(file, &envelope) && envelope.sender.n > 1024)
		abort();
	while (queue_read_rcpt(file, &at, &status, &rcpt))
		if (at > file->envelope.length || !queue_mark_rcpt(file->fd, rcpt.offset))
			abort();
	(void)!queue_read_head(file->fd, &file->header, &head);
	queue_body_start(&body, file->fd, &file->header);
	while (queue_body_next(&body, &block) == BODY_BLOCK)
		;
	queue_body_done(&body);
	if (!queue_read_notes(file->fd, &notes) || !queue_write_notes(file->fd, &notes) ||
	    !queue_flush(file->fd))
		abort();
	(void)queue_message_size(&file->header);
	copy_out(file->fd);
	buf_done(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct queue_file file;
	unsigned char *copy;
	int fd;

	if (size < 1)
		return 0;
	fd = memfd_create("queue_file_fuzz", MFD_CLOEXEC);
	copy = malloc(size);
	if (fd < 0 || copy == NULL)
		abort();
	memcpy(copy, data + 1, size - 1);
	if ((data[0] & 1) != 0 && size > QUEUE_HEADER_BYTES)
		mend(copy, size - 1);
	if (write(fd, copy, size - 1) != (ssize_t)size - 1)
		abort();
	/* It closes the file unless that is good. */
	if (queue_read_open(&file, fd) == QUEUE_GOOD) {
		read_all(&file);
		queue_read_close(&file);
	}
	free(copy);
	return 0;
}
