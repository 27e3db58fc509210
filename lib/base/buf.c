/* SPDX-License-Identifier: MIT */
/* The growing byte string with a hard maximum; see buf.h. */

#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { FIRST_CAPACITY = 128, READ_BYTES = 64 * 1024 };

void buf_init(struct buf *buf, size_t limit_bytes)
{
	*buf = (struct buf){ .limit_bytes = limit_bytes };
}

void buf_done(struct buf *buf)
{
	free(buf->data);
	buf_init(buf, buf->limit_bytes);
}

void buf_reset(struct buf *buf)
{
	buf->length = 0;
	buf->is_over = false;
	if (buf->data != NULL)
		buf->data[0] = '\0';
}

void buf_shrink(struct buf *buf, size_t keep_bytes)
{
	if (buf->capacity > keep_bytes)
		buf_done(buf);
	else
		buf_reset(buf);
}

char *buf_room(struct buf *buf, size_t size)
{
	if (size > buf->limit_bytes || buf->length > buf->limit_bytes - size) {
		buf->is_over = true;
		return NULL;
	}

	size_t needed = buf->length + size + 1;

	if (needed > buf->capacity) {
		size_t capacity = buf->capacity > 0 ? buf->capacity : FIRST_CAPACITY;

		while (capacity < needed)
			capacity *= 2;
		buf->data = mem_resize(buf->data, capacity);
		buf->capacity = capacity;
	}
	return buf->data + buf->length;
}

void buf_grew(struct buf *buf, size_t size)
{
	buf->length += size;
	buf->data[buf->length] = '\0';
}

bool buf_read(struct buf *buf, int fd)
{
	for (;;) {
		size_t left = buf->limit_bytes - buf->length;
		size_t wanted = left < READ_BYTES ? left : READ_BYTES;
		char *room = buf_room(buf, wanted), beyond;
		/* What just fits ends here; one byte more tells. */
		ssize_t size = read(fd, wanted > 0 ? room : &beyond, wanted > 0 ? wanted : 1);

		if (size > 0 && wanted == 0) {
			buf->is_over = true;
			errno = EFBIG;
			return false;
		}
		if (size > 0)
			buf_grew(buf, (size_t)size);
		else if (size == 0 || errno != EINTR)
			return size == 0;
	}
}

bool buf_append(struct buf *buf, const void *data, size_t size)
{
	if (size == 0)
		return true;

	char *room = buf_room(buf, size);

	if (room == NULL)
		return false;
	memcpy(room, data, size);
	buf_grew(buf, size);
	return true;
}

bool buf_add(struct buf *buf, struct span s)
{
	return buf_append(buf, s.p, s.n);
}

bool buf_text(struct buf *buf, const char *text)
{
	return buf_append(buf, text, strlen(text));
}

bool buf_char(struct buf *buf, char c)
{
	return buf_append(buf, &c, 1);
}

bool buf_vprintf(struct buf *buf, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);

	int size = vsnprintf(NULL, 0, format, again);

	va_end(again);
	if (size < 0)
		return false;

	char *room = buf_room(buf, (size_t)size);

	if (room == NULL)
		return false;
	(void)vsnprintf(room, (size_t)size + 1, format, args);
	buf_grew(buf, (size_t)size);
	return true;
}

bool buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_start(args, format);

	bool fits = buf_vprintf(buf, format, args);

	va_end(args);
	return fits;
}

bool buf_set(struct buf *buf, struct span s)
{
	buf_reset(buf);
	return buf_add(buf, s);
}

void buf_consume(struct buf *buf, size_t size)
{
	if (size >= buf->length) {
		buf->length = 0;
	} else {
		memmove(buf->data, buf->data + size, buf->length - size);
		buf->length -= size;
	}
	if (buf->data != NULL)
		buf->data[buf->length] = '\0';
}

void buf_truncate(struct buf *buf, size_t size)
{
	if (size < buf->length) {
		buf->length = size;
		buf->data[size] = '\0';
	}
}

struct span buf_span(const struct buf *buf)
{
	return (struct span){ buf->data, buf->length };
}

const char *buf_str(const struct buf *buf)
{
	return buf->data != NULL ? buf->data : "";
}

bool buf_is_over(const struct buf *buf)
{
	return buf->is_over;
}

char *buf_steal(struct buf *buf)
{
	char *text = buf->data != NULL ? buf->data : mem_dup(SPAN(""));

	buf_init(buf, buf->limit_bytes);
	return text;
}
