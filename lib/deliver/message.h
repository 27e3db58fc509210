/* SPDX-License-Identifier: MIT */
#ifndef DELIVER_MESSAGE_H
#define DELIVER_MESSAGE_H

/*
 * The text of a message as mailboxes and commands get it: what the agent puts in front, head,
 * blank line, body; line ends and quoting as asked. Written in blocks of 64 KB, without memory
 * that grows with the message.
 */

#include "base/buf.h"
#include "queue/file.h"

enum message_flag {
	MESSAGE_QUOTE_FROM = 1 << 0,  /* ">" before lines that begin with "From " */
	MESSAGE_QUOTE_DOT = 1 << 1,   /* "." before lines that begin with "." */
	MESSAGE_BLANK_END = 1 << 2,   /* an empty line behind the message */
};

struct message_format {
	unsigned flags;
	struct span eol; /* empty: LF */
	struct span from_line; /* "From sender  date", without line end; empty: none */
	struct span prefix; /* headers in front, whole lines with LF; may be empty */
};

enum message_status {
	MESSAGE_OK,
	MESSAGE_DAMAGED, /* a CRC is wrong: what was written must not count as delivered */
	MESSAGE_READ_ERROR, /* errno */
	MESSAGE_WRITE_ERROR, /* the sink gave up; errno is the sink's */
};

/* Takes all bytes; false, with errno, ends the copy. */
typedef bool message_sink_fn(void *context, struct span bytes);

/*
 * Copies the message in the queue file `fd`. Only after MESSAGE_OK is it known to be whole, so
 * a mailbox must be taken back and a command not be believed otherwise.
 */
MUST_USE enum message_status message_copy(int fd, const struct message_format *format,
					  message_sink_fn *sink, void *context);

/* A sink: `context` is an int *, a blocking descriptor. */
bool message_to_fd(void *context, struct span bytes);

/*
 * Converts line ends and quotes, block after block; message_copy() does it inside. Zeroed but
 * for the first two members to start. Lines may end anywhere in a block.
 */
struct message_lines {
	const struct message_format *format;
	struct buf *out; /* gets up to twice the block */
	bool in_line; /* the line has begun, and needs no quote any more */
	bool has_cr; /* a CR that may belong to the next line end */
	size_t from_bytes; /* of "From ", at the start of a line; not written yet */
};

void message_lines_add(struct message_lines *lines, struct span block);

/* At the end: writes what was held back, and ends a last line that has no end. */
void message_lines_end(struct message_lines *lines);

#endif
