/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_MAILDROP_H
#define QUEUE_MAILDROP_H

/*
 * Files in maildrop/: what a local user submitted, written by postdrop, read by pickup and showq.
 *
 *     "MAILDROP" | u32 version | records | "MAILDEND" | u32 CRC-32C of all before it
 *
 * The records are messages of messages.def in their wire form: one envelope, rcpt for each
 * recipient, submit_data with the content in pieces, the last with is_last. The same records
 * without what is around them go from sendmail to postdrop. A file is complete when its end is
 * there and the CRC is right; who sent it is the owner of the file, not what it says.
 */

#include "ipc/messages.h"

enum { MAILDROP_MODE = 0444 }; /* in a directory that nobody can enter */

/* ---- writing: postdrop ---- */

struct maildrop_writer {
	int fd;         /* borrowed */
	struct buf out; /* bytes not yet written */
	uint32_t crc;
	uint64_t size;
	int error;      /* errno of the first failure, or 0; sticky */
};

void maildrop_write_start(struct maildrop_writer *writer, int fd);

/* Appends encoded records. */
void maildrop_write(struct maildrop_writer *writer, struct span records);

/* Writes the end and frees. 0, or errno of the first failure; the caller flushes the file. */
MUST_USE int maildrop_write_end(struct maildrop_writer *writer);

/* ---- reading: pickup, showq; and postdrop, from sendmail's pipe ---- */

enum maildrop_item {
	MAILDROP_ENVELOPE,
	MAILDROP_RCPT,
	MAILDROP_DATA,
	MAILDROP_END,      /* behind the last data; a file's CRC was right */
	MAILDROP_DAMAGED,  /* no such file, or cut off, or changed */
	MAILDROP_IO_ERROR, /* errno says why */
};

struct maildrop_reader {
	int fd; /* borrowed */
	bool is_file;
	struct buf in;    /* read and not yet taken */
	size_t taken;     /* of it */
	uint32_t crc;
	uint64_t size;    /* bytes taken */
	enum maildrop_item last;
	bool is_started, is_ended;
	bool is_cut; /* with MAILDROP_DAMAGED: the input ended between two records */
	struct msg_envelope envelope;
	struct msg_rcpt rcpt;
	struct msg_submit_data data;
};

/* `is_file` false: the records alone, from a pipe. */
void maildrop_read_start(struct maildrop_reader *reader, int fd, bool is_file);
void maildrop_read_end(struct maildrop_reader *reader);

/*
 * The next item, in reader->envelope, ->rcpt or ->data, whose spans are borrowed until the next
 * call. Strict: one envelope, then recipients, then data, then the end. After END, DAMAGED or
 * IO_ERROR nothing follows.
 */
MUST_USE enum maildrop_item maildrop_next(struct maildrop_reader *reader);

#endif
