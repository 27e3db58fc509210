/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_FILE_H
#define QUEUE_FILE_H

/*
 * The queue file: one message, written front to back once.
 *
 *     header    256 bytes: magic, version, where the sections are, their CRC-32C, counts; the
 *               last 64 bytes are mutable, outside every CRC, and qmgr's alone
 *     body      as received, CRLF, not dot-stuffed
 *     head      the final header section, CRLF, without the blank line behind it
 *     envelope  one `envelope` message of messages.def, then for each recipient a status byte
 *               and one `rcpt` message
 *
 * Everything learnt late (extracted recipients, edits of the head) stands behind the body, so
 * nothing is ever moved; a replaced body is written again behind and its offset changed. The
 * header is written last, in place. A file is complete when its header and the envelope's CRC
 * are right: no mode bit and no name says so. A writer holds an exclusive flock: a file
 * without a valid header that can be locked is a leftover.
 */

#include "base/buf.h"
#include "base/clock.h"
#include "ipc/messages.h"

enum {
	QUEUE_HEADER_BYTES = 256,
	QUEUE_MUTABLE_AT = 192,
	QUEUE_MESSAGE_MODE = 0600,
};

/* Status byte of a recipient. Any other value counts as RCPT_TODO. */
enum rcpt_status { RCPT_TODO = 0, RCPT_DONE = 'D' };

struct queue_section {
	uint64_t offset, size;
	uint32_t crc;
};

/* The header in memory. */
struct queue_header {
	struct clock_wall arrival;
	struct queue_section body, head, envelope;
	uint32_t rcpt_count;
	uint32_t content; /* enum content_class */
	uint32_t flags;   /* enum envelope_flag, a copy */
};

/* qmgr's own notes in the file. */
struct queue_notes {
	bool warning_sent; /* of a delay */
	bool is_expired;   /* postsuper -e, -f: return it at the next try */
	bool is_silent;    /* postsuper -f: for one that is also not to be held */
	uint32_t attempts;
};

/* ---- writing: by cleanup alone ---- */

struct queue_writer {
	int fd;     /* -1: none */
	int dir_fd; /* of the queue directory that holds it; borrowed */
	char name[32];
	struct queue_header header;
	uint64_t at;          /* end of the file, with what is in `pending` */
	struct buf pending;   /* bytes not yet written */
	int error;            /* errno of the first failure, or 0; sticky */
};

/*
 * Creates `name` in `dir_fd`, which must not exist, with an exclusive lock. False with errno
 * (EEXIST: choose another name) when it cannot be made.
 */
MUST_USE bool queue_write_open(struct queue_writer *writer, int dir_fd, const char *name);

/*
 * Appends to the section that is being written; sections are written one after the other. A
 * failure is kept in writer->error and makes the commit fail.
 */
void queue_write_body(struct queue_writer *writer, struct span bytes);
void queue_write_head(struct queue_writer *writer, struct span bytes);
void queue_write_envelope(struct queue_writer *writer, const struct msg_envelope *envelope);
void queue_write_rcpt(struct queue_writer *writer, const struct msg_rcpt *rcpt);

/* Forgets the body written so far: the next queue_write_body() starts a new one. */
void queue_write_body_again(struct queue_writer *writer);

/*
 * Makes it durable: header, fsync of the file, fsync of the directory; the lock goes. When this
 * returns 0 the message survives a power cut. Else errno of what failed, and the file is gone.
 */
MUST_USE int queue_write_commit(struct queue_writer *writer);

/* Closes and removes an unfinished file. Harmless when there is none. */
void queue_write_abort(struct queue_writer *writer);

/* ---- reading ---- */

struct queue_file {
	int fd; /* -1: none */
	struct queue_header header;
	struct buf envelope; /* the envelope section */
};

enum queue_check {
	QUEUE_GOOD,
	QUEUE_UNFINISHED, /* no valid header: being written, or a leftover */
	QUEUE_DAMAGED,    /* a CRC or bound is wrong: goes to corrupt/ */
	QUEUE_IO_ERROR,   /* errno says why; try again later */
};

/* Takes over `fd` and reads header and envelope. Unless QUEUE_GOOD, `fd` is closed. */
MUST_USE enum queue_check queue_read_open(struct queue_file *file, int fd);
void queue_read_close(struct queue_file *file);

/* As queue_read_open for the header alone: cheap, for listings. `fd` stays the caller's. */
MUST_USE enum queue_check queue_read_header(int fd, struct queue_header *ret_header);

/*
 * The envelope record, and the recipients one after the other: start with *at = 0; false at the
 * end. Spans are borrowed from the file. A recipient's `offset` is where its status byte is.
 */
MUST_USE bool queue_read_envelope(const struct queue_file *file, struct msg_envelope *ret);
MUST_USE bool queue_read_rcpt(const struct queue_file *file, size_t *at,
			      enum rcpt_status *ret_status, struct msg_rcpt *ret);

/* The whole head into `out` (its limit bounds it); false with errno, EBADMSG for a bad CRC. */
MUST_USE bool queue_read_head(int fd, const struct queue_header *header, struct buf *out);

/*
 * The body in blocks: queue_body_start(), then queue_body_next() until it gives BODY_END. Only
 * then is it known to be undamaged: a sender must not end its transfer before.
 */
enum body_status { BODY_BLOCK, BODY_END, BODY_DAMAGED, BODY_IO_ERROR };

struct queue_body {
	int fd;
	struct queue_section section;
	uint64_t done;
	uint32_t crc;
	char *block;
	size_t block_size;
};

void queue_body_start(struct queue_body *body, int fd, const struct queue_header *header);
MUST_USE enum body_status queue_body_next(struct queue_body *body, struct span *ret_block);
void queue_body_done(struct queue_body *body);

/* Bytes of the message as it goes out: head, blank line and body. */
uint64_t queue_message_size(const struct queue_header *header);

/* ---- marks: by qmgr alone ---- */

/* Marks a recipient as done; not flushed (queue_flush does that). False with errno. */
MUST_USE bool queue_mark_rcpt(int fd, uint32_t offset);
MUST_USE bool queue_read_notes(int fd, struct queue_notes *ret);
MUST_USE bool queue_write_notes(int fd, const struct queue_notes *notes);
MUST_USE bool queue_flush(int fd);

#endif
