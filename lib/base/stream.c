/* SPDX-License-Identifier: MIT */
/* Deadline I/O; see stream.h. Runs in every process that talks to a peer; trusts no byte. */

#include "base/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { OUTPUT_FLUSH_BYTES = 64 * 1024, OUTPUT_MAX_BYTES = 1024 * 1024 };

static ssize_t plain_read(void *context, char *data, size_t size, short *ret_events)
{
	const struct stream *stream = context;

	*ret_events = POLLIN;
	return read(stream->fd, data, size);
}

static ssize_t plain_write(void *context, const char *data, size_t size, short *ret_events)
{
	const struct stream *stream = context;
	ssize_t done = send(stream->fd, data, size, MSG_NOSIGNAL);

	*ret_events = POLLOUT;
	if (done < 0 && errno == ENOTSOCK)
		done = write(stream->fd, data, size);
	return done;
}

static const struct stream_layer plain_layer = { plain_read, plain_write, NULL };

static void start(struct stream *stream, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 ||
	    ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
		panic("stream: descriptor %d: %s", fd, strerror(errno));
	stream->fd = fd;
	stream->layer = &plain_layer;
	stream->layer_context = stream;
	stream->deadline = CLOCK_NEVER;
	stream->wake_fd = -1;
	stream->status = IO_OK;
	stream->saved_errno = 0;
	stream->in_start = stream->in_end = 0;
	stream->bytes_in = stream->bytes_out = 0;
	buf_shrink(&stream->out, OUTPUT_FLUSH_BYTES);
}

void stream_open(struct stream *stream, int fd)
{
	*stream = (struct stream){ .fd = -1 };
	buf_init(&stream->out, OUTPUT_MAX_BYTES);
	stream->in = mem_resize(NULL, STREAM_INPUT_BYTES);
	start(stream, fd);
}

void stream_close_layer(struct stream *stream)
{
	if (stream->layer != NULL && stream->layer->close != NULL)
		stream->layer->close(stream->layer_context);
	stream->layer = &plain_layer;
	stream->layer_context = stream;
}

void stream_hangup(struct stream *stream)
{
	stream_close_layer(stream);
	if (stream->fd >= 0)
		(void)close(stream->fd);
	stream->fd = -1;
}

void stream_reopen(struct stream *stream, int fd)
{
	stream_hangup(stream);
	if (stream->in == NULL)
		stream_open(stream, fd);
	else
		start(stream, fd);
}

void stream_close(struct stream *stream)
{
	stream_hangup(stream);
	free(stream->in);
	stream->in = NULL;
	stream->in_start = stream->in_end = 0;
	buf_done(&stream->out);
}

void stream_set_deadline(struct stream *stream, struct clock_mono deadline)
{
	stream->deadline = deadline;
}

void stream_set_layer(struct stream *stream, const struct stream_layer *layer, void *context)
{
	stream->layer = layer;
	stream->layer_context = context;
	/* Nothing that came in the clear may be taken for input of the new layer. */
	stream->in_start = stream->in_end = 0;
}

static enum io_status fail(struct stream *stream, enum io_status status)
{
	if (stream->status == IO_OK) {
		stream->status = status;
		stream->saved_errno = errno;
	}
	return stream->status;
}

void stream_set_wake(struct stream *stream, int fd,
		     bool (*on_wake)(void *context, int64_t waited_ms), void *context)
{
	stream->wake_fd = fd;
	stream->on_wake = on_wake;
	stream->wake_context = context;
}

enum io_status stream_wait(struct stream *stream, short events)
{
	struct clock_mono start = { 0 };

	if (stream->wake_fd >= 0)
		start = clock_mono_now();
	for (;;) {
		struct pollfd p[2] = { { .fd = stream->fd, .events = events },
				       { .fd = stream->wake_fd, .events = POLLIN } };
		int ready = poll(p, 2, clock_poll_ms(stream->deadline));

		if (ready > 0 && p[0].revents != 0)
			return IO_OK;
		if (ready > 0 &&
		    stream->on_wake(stream->wake_context, (clock_mono_now().us - start.us) / 1000))
			continue;
		if (ready >= 0)
			return fail(stream, IO_TIMEOUT);
		if (errno != EINTR)
			return fail(stream, IO_ERROR);
	}
}

enum io_status stream_flush(struct stream *stream)
{
	size_t done = 0;

	while (stream->status == IO_OK && done < stream->out.length) {
		short events = POLLOUT;
		ssize_t size = stream->layer->write(stream->layer_context, stream->out.data + done,
						    stream->out.length - done, &events);

		if (size > 0) {
			done += (size_t)size;
			stream->bytes_out += (uint64_t)size;
		} else if (size < 0 && errno == EINTR) {
			continue;
		} else if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			(void)stream_wait(stream, events);
		} else if (size < 0 && (errno == EPIPE || errno == ECONNRESET)) {
			(void)fail(stream, IO_EOF);
		} else {
			(void)fail(stream, IO_ERROR);
		}
	}
	buf_reset(&stream->out);
	return stream->status;
}

void stream_write(struct stream *stream, struct span bytes)
{
	while (bytes.n > 0 && stream->status == IO_OK) {
		struct span part = span_first(bytes, OUTPUT_FLUSH_BYTES);

		(void)buf_add(&stream->out, part);
		bytes = span_from(bytes, part.n);
		if (stream->out.length >= OUTPUT_FLUSH_BYTES)
			(void)stream_flush(stream);
	}
}

void stream_printf(struct stream *stream, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (stream->status == IO_OK)
		(void)buf_vprintf(&stream->out, format, args);
	va_end(args);
	if (stream->out.length >= OUTPUT_FLUSH_BYTES)
		(void)stream_flush(stream);
}

/* One read into the free end of the buffer; 0 bytes with EAGAIN when it would wait. */
static enum io_status read_once(struct stream *stream, bool *ret_would_wait, short *ret_events)
{
	ssize_t size = stream->layer->read(stream->layer_context, stream->in + stream->in_end,
					   STREAM_INPUT_BYTES - stream->in_end, ret_events);

	*ret_would_wait = false;
	if (size > 0) {
		stream->in_end += (size_t)size;
		stream->bytes_in += (uint64_t)size;
		return IO_OK;
	}
	if (size == 0)
		return fail(stream, IO_EOF);
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
		*ret_would_wait = errno != EINTR;
		return IO_OK;
	}
	return fail(stream, errno == ECONNRESET ? IO_EOF : IO_ERROR);
}

static bool make_room(struct stream *stream)
{
	if (stream->in_start > 0 && stream->in_end == STREAM_INPUT_BYTES) {
		memmove(stream->in, stream->in + stream->in_start,
			stream->in_end - stream->in_start);
		stream->in_end -= stream->in_start;
		stream->in_start = 0;
	}
	return stream->in_end < STREAM_INPUT_BYTES;
}

enum io_status stream_more(struct stream *stream)
{
	size_t before = stream->in_end - stream->in_start;

	if (stream->status != IO_OK)
		return stream->status;
	if (before == 0)
		stream->in_start = stream->in_end = 0;
	if (!make_room(stream))
		return IO_TOOLONG;
	while (stream->status == IO_OK && stream->in_end - stream->in_start == before) {
		bool would_wait;
		short events = POLLIN;

		/* Who was just told something has seldom answered yet: a read would be in vain. */
		if (stream->out.length > 0 &&
		    (stream_flush(stream) != IO_OK ||
		     (stream->layer == &plain_layer && stream_wait(stream, POLLIN) != IO_OK)))
			break;
		if (read_once(stream, &would_wait, &events) == IO_OK && would_wait)
			(void)stream_wait(stream, events);
	}
	return stream->in_end - stream->in_start > before ? IO_OK : stream->status;
}

struct span stream_buffered(const struct stream *stream)
{
	return (struct span){ stream->in + stream->in_start, stream->in_end - stream->in_start };
}

enum io_status stream_peek(struct stream *stream, struct span *ret_bytes)
{
	if (stream->in_start == stream->in_end) {
		enum io_status status = stream_more(stream);

		if (status != IO_OK)
			return status;
	}
	*ret_bytes = stream_buffered(stream);
	return IO_OK;
}

void stream_take(struct stream *stream, size_t size)
{
	size_t have = stream->in_end - stream->in_start;

	stream->in_start += size < have ? size : have;
}

bool stream_has_input(struct stream *stream)
{
	bool would_wait;
	short events;

	if (stream->in_start < stream->in_end)
		return true;
	if (stream->status != IO_OK)
		return false;
	stream->in_start = stream->in_end = 0;
	return read_once(stream, &would_wait, &events) == IO_OK && stream->in_end > 0;
}

bool stream_is_quiet(struct stream *stream)
{
	/* To look for input is to see the end. */
	return !stream_has_input(stream) && stream->status == IO_OK;
}

enum io_status stream_line(struct stream *stream, size_t limit, struct span *ret_line,
			   bool *ret_is_crlf)
{
	size_t seen = 0;

	for (;;) {
		struct span bytes = stream_buffered(stream);
		size_t at;

		if (span_chr(span_from(bytes, seen), '\n', &at) && seen + at <= limit) {
			struct span line = span_first(bytes, seen + at);
			bool is_crlf = line.n > 0 && line.p[line.n - 1] == '\r';

			stream_take(stream, line.n + 1);
			if (is_crlf)
				line.n--;
			if (ret_is_crlf != NULL)
				*ret_is_crlf = is_crlf;
			*ret_line = line;
			return IO_OK;
		}
		seen = bytes.n;

		enum io_status status = seen > limit ? IO_TOOLONG : stream_more(stream);

		if (status == IO_TOOLONG) {
			*ret_line = span_first(bytes, limit);
			stream_take(stream, ret_line->n);
		}
		if (status != IO_OK)
			return status;
	}
}
