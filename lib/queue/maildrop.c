/* SPDX-License-Identifier: MIT */
/*
 * Files in maildrop/; see maildrop.h. Runs in postdrop as the user with the group of maildrop, in
 * pickup and showq as owner of the queue. What is read is a user's.
 */

#include "queue/maildrop.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/fd.h"
#include "queue/header.h"

#define MAGIC "MAILDROP"
#define END_MAGIC "MAILDEND"

enum {
	MAGIC_BYTES = 8,
	START_BYTES = MAGIC_BYTES + 4,
	END_BYTES = MAGIC_BYTES + 4,
	VERSION = 1,
	READ_BYTES = 64 * 1024,
	PENDING_BYTES = 64 * 1024,
};

/* ---- writing ---- */

static void write_pending(struct maildrop_writer *writer)
{
	if (writer->error == 0 && !fd_write_all(writer->fd, buf_span(&writer->out)))
		writer->error = errno;
	buf_reset(&writer->out);
}

void maildrop_write(struct maildrop_writer *writer, struct span records)
{
	writer->crc = crc32c(writer->crc, records.p, records.n);
	writer->size += records.n;
	(void)buf_add(&writer->out, records);
	if (writer->out.length >= PENDING_BYTES)
		write_pending(writer);
}

static void write_number(struct maildrop_writer *writer, uint32_t number)
{
	unsigned char raw[4];

	queue_put_le(raw, sizeof(raw), number);
	maildrop_write(writer, (struct span){ (const char *)raw, sizeof(raw) });
}

void maildrop_write_start(struct maildrop_writer *writer, int fd)
{
	*writer = (struct maildrop_writer){ .fd = fd };
	buf_init(&writer->out, SIZE_MAX / 4);
	maildrop_write(writer, SPAN(MAGIC));
	write_number(writer, VERSION);
}

int maildrop_write_end(struct maildrop_writer *writer)
{
	maildrop_write(writer, SPAN(END_MAGIC));
	write_number(writer, writer->crc);
	write_pending(writer);
	buf_done(&writer->out);
	return writer->error;
}

/* ---- reading ---- */

void maildrop_read_start(struct maildrop_reader *reader, int fd, bool is_file)
{
	*reader =
		(struct maildrop_reader){ .fd = fd, .is_file = is_file, .last = MAILDROP_ENVELOPE };
	buf_init(&reader->in, SIZE_MAX / 4);
}

void maildrop_read_end(struct maildrop_reader *reader)
{
	buf_done(&reader->in);
}

static struct span waiting(const struct maildrop_reader *reader)
{
	return span_from(buf_span(&reader->in), reader->taken);
}

/* Whether `size` bytes are there, after reading as much as it takes. MAILDROP_END: yes. */
static enum maildrop_item need(struct maildrop_reader *reader, size_t size)
{
	while (waiting(reader).n < size) {
		if (reader->taken > READ_BYTES) {
			buf_consume(&reader->in, reader->taken);
			reader->taken = 0;
		}

		ssize_t got = read(reader->fd, buf_room(&reader->in, READ_BYTES), READ_BYTES);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return MAILDROP_IO_ERROR;
		if (got == 0)
			return MAILDROP_DAMAGED;
		buf_grew(&reader->in, (size_t)got);
	}
	return MAILDROP_END;
}

static void take(struct maildrop_reader *reader, size_t size)
{
	struct span bytes = span_first(waiting(reader), size);

	reader->crc = crc32c(reader->crc, bytes.p, bytes.n);
	reader->taken += size;
	reader->size += size;
}

static uint32_t number_at(struct span bytes, size_t at)
{
	return (uint32_t)queue_get_le((const unsigned char *)bytes.p + at, 4);
}

static enum maildrop_item read_start(struct maildrop_reader *reader)
{
	enum maildrop_item status = need(reader, START_BYTES);

	if (status != MAILDROP_END)
		return status;
	if (!span_starts(waiting(reader), SPAN(MAGIC)) ||
	    number_at(waiting(reader), MAGIC_BYTES) != VERSION)
		return MAILDROP_DAMAGED;
	take(reader, START_BYTES);
	return MAILDROP_END;
}

/* Behind the last record: a file's end; nothing more in either. */
static enum maildrop_item read_end(struct maildrop_reader *reader)
{
	enum maildrop_item status;

	if (reader->is_file) {
		status = need(reader, END_BYTES);
		if (status != MAILDROP_END)
			return status;
		if (!span_starts(waiting(reader), SPAN(END_MAGIC)))
			return MAILDROP_DAMAGED;
		take(reader, MAGIC_BYTES);
		if (number_at(waiting(reader), 0) != reader->crc)
			return MAILDROP_DAMAGED;
		take(reader, 4);
	}
	status = need(reader, 1);
	/* The end of the file is what is wanted here. */
	return status == MAILDROP_DAMAGED ? MAILDROP_END
	       : status == MAILDROP_END	  ? MAILDROP_DAMAGED
					  : status;
}

/* Takes the record in `bytes` apart, if it may stand here. */
static enum maildrop_item decode(struct maildrop_reader *reader, struct span bytes)
{
	enum maildrop_item last = reader->last;
	bool is_first = !reader->is_started;

	reader->is_started = true;
	if (is_first)
		return msg_envelope_decode(&bytes, &reader->envelope) && bytes.n == 0
			       ? MAILDROP_ENVELOPE
			       : MAILDROP_DAMAGED;
	if (last != MAILDROP_DATA && strcmp(ipc_name(bytes), "rcpt") == 0)
		return msg_rcpt_decode(&bytes, &reader->rcpt) && bytes.n == 0 ? MAILDROP_RCPT
									      : MAILDROP_DAMAGED;
	if (!msg_submit_data_decode(&bytes, &reader->data) || bytes.n != 0)
		return MAILDROP_DAMAGED;
	reader->is_ended = reader->data.is_last;
	return MAILDROP_DATA;
}

static enum maildrop_item next(struct maildrop_reader *reader)
{
	enum maildrop_item status = MAILDROP_END;
	struct span bytes;
	size_t size;

	if (!reader->is_started && reader->is_file)
		status = read_start(reader);
	if (status != MAILDROP_END)
		return status;
	if (reader->is_ended)
		return read_end(reader);
	status = need(reader, 4);
	reader->is_cut = status == MAILDROP_DAMAGED && waiting(reader).n == 0;
	if (status != MAILDROP_END)
		return status;
	size = number_at(waiting(reader), 0);
	if (size > IPC_RECORD_MAX)
		return MAILDROP_DAMAGED;
	status = need(reader, size + 4);
	if (status != MAILDROP_END)
		return status;
	bytes = span_first(waiting(reader), size + 4);
	take(reader, size + 4);
	return decode(reader, bytes);
}

enum maildrop_item maildrop_next(struct maildrop_reader *reader)
{
	if (reader->last != MAILDROP_END && reader->last != MAILDROP_DAMAGED &&
	    reader->last != MAILDROP_IO_ERROR)
		reader->last = next(reader);
	return reader->last;
}
