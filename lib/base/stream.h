/* SPDX-License-Identifier: MIT */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

/*
 * A buffered byte stream over a socket or pipe with an absolute deadline. It is the only I/O
 * object of a session: TLS goes under it as a layer, and closing it clears every layer.
 *
 * Output is collected and leaves when the stream would have to wait for input, at
 * stream_flush(), or when much of it has gathered: so the replies to a pipelined group of commands go
 * out in one write. An error is kept: once a call fails, all later ones fail in the same way,
 * and writers need to look only once, at the flush.
 */

#include <sys/types.h>

#include "base/buf.h"
#include "base/clock.h"

enum io_status {
	IO_OK,
	IO_EOF,     /* the peer closed; while writing: it is gone */
	IO_TIMEOUT, /* the deadline passed */
	IO_TOOLONG, /* no line end within the limit; not kept as an error */
	IO_ERROR,   /* errno in stream->saved_errno */
};

/* What is under a stream: plain read(2) and write(2) unless a layer replaces them. Both return
 * as those do; -1 with EAGAIN makes the stream wait for `*ret_events` (POLLIN or POLLOUT). */
struct stream_layer {
	ssize_t (*read)(void *context, char *data, size_t size, short *ret_events);
	ssize_t (*write)(void *context, const char *data, size_t size, short *ret_events);
	void (*close)(void *context);
};

struct stream {
	int fd;
	const struct stream_layer *layer;
	void *layer_context;
	struct clock_mono deadline;
	int wake_fd; /* -1, or see stream_set_wake() */
	bool (*on_wake)(void *context, int64_t waited_ms);
	void *wake_context;
	enum io_status status; /* first failure, or IO_OK */
	int saved_errno;
	char *in;
	size_t in_start, in_end;
	struct buf out;
	uint64_t bytes_in, bytes_out;
};

enum { STREAM_INPUT_BYTES = 64 * 1024 };

/* Takes over `fd` and makes it non-blocking. No deadline is set: it would wait for ever. */
void stream_open(struct stream *stream, int fd);

/* Closes layer and descriptor and frees; what was not flushed is lost. Harmless twice. */
void stream_close(struct stream *stream);

/* Closes layer and descriptor; buffers stay for the next stream_reopen(). */
void stream_hangup(struct stream *stream);

/* For a connection that is handed to the next session of this process: buffers are kept. */
void stream_reopen(struct stream *stream, int fd);

void stream_set_deadline(struct stream *stream, struct clock_mono deadline);
void stream_set_layer(struct stream *stream, const struct stream_layer *layer, void *context);

/*
 * While the stream waits for its peer it also watches `fd`, which stays the caller's; -1: no
 * more. When that is readable, `on_wake` is told for how long this wait has lasted, reads from `fd`
 * and says whether to go on; false ends the wait as if the deadline had passed.
 */
void stream_set_wake(struct stream *stream, int fd,
		     bool (*on_wake)(void *context, int64_t waited_ms), void *context);

/*
 * The next line without its line end. `*ret_line` is borrowed until the next call that reads.
 * IO_TOOLONG when `limit` bytes hold no LF: the bytes seen are in *ret_line and are taken.
 * `*ret_is_crlf` (may be NULL) says whether CR LF ended it, not a bare LF. At the end of input
 * without line end: IO_EOF.
 */
MUST_USE enum io_status stream_line(struct stream *stream, size_t limit, struct span *ret_line,
				    bool *ret_is_crlf);

/*
 * For what stands under the stream: waits until the descriptor is ready for `events`, or the
 * deadline. A failure is kept, as of all calls.
 */
enum io_status stream_wait(struct stream *stream, short events);

/* Closes the layer alone, which may say goodbye to the peer; the descriptor stays open. */
void stream_close_layer(struct stream *stream);

/* What is in the buffer, after waiting for at least one byte. stream_take() takes from it. */
MUST_USE enum io_status stream_peek(struct stream *stream, struct span *ret_bytes);
void stream_take(struct stream *stream, size_t size);

/* More input behind what is buffered: one read. IO_TOOLONG when the buffer is full. */
MUST_USE enum io_status stream_more(struct stream *stream);

/* Bytes that came in and were not taken yet; waits for nothing. */
struct span stream_buffered(const struct stream *stream);

/* Whether input can be had without waiting (buffered, or readable now). */
bool stream_has_input(struct stream *stream);

/* Whether a kept connection is good for another question: no failure, no end, and nothing said unasked. */
bool stream_is_quiet(struct stream *stream);

void stream_write(struct stream *stream, struct span bytes);
void stream_printf(struct stream *stream, const char *format, ...) PRINTF_LIKE(2, 3);
enum io_status stream_flush(struct stream *stream);

#endif
