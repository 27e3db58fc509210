/* SPDX-License-Identifier: MIT */
#ifndef BASE_BUF_H
#define BASE_BUF_H

/*
 * The one growing byte string. It has a hard maximum: an append that would pass it adds
 * nothing, returns false, and makes buf_is_over() true until buf_reset(), so that a writer may
 * check once at the end. Running out of memory is fatal(). There is always a NUL behind the
 * last byte. Fields are private; use the functions.
 */

#include <stdarg.h>

#include "base/span.h"

struct buf {
	char *data;
	size_t length;
	size_t capacity;
	size_t limit_bytes;
	bool is_over;
};

#define BUF_LIMIT_DEFAULT ((size_t)16 * 1024 * 1024)

/* An empty buffer for at most `limit_bytes` bytes; it allocates at the first append. */
void buf_init(struct buf *buf, size_t limit_bytes);
#define BUF_INIT(limit) { .limit_bytes = (limit) }

/* Frees the memory; the buffer may be used again. Accepts a zeroed struct. */
void buf_done(struct buf *buf);

/* Empties it and keeps the memory; buf_shrink gives memory over `keep_bytes` back as well. */
void buf_reset(struct buf *buf);
void buf_shrink(struct buf *buf, size_t keep_bytes);

bool buf_append(struct buf *buf, const void *data, size_t size);
bool buf_add(struct buf *buf, struct span s);
bool buf_text(struct buf *buf, const char *text);
bool buf_char(struct buf *buf, char c);
bool buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
bool buf_vprintf(struct buf *buf, const char *format, va_list args) PRINTF_LIKE(2, 0);

/* Empties it and appends `s`, which may not point into it. */
bool buf_set(struct buf *buf, struct span s);

/*
 * Room for `size` more bytes at the end: the address to write to, or NULL when that would pass
 * the maximum. buf_grew() then says how many were written.
 */
char *buf_room(struct buf *buf, size_t size);
void buf_grew(struct buf *buf, size_t size);

/*
 * Appends what can still be read from the file `fd`. False with errno, EFBIG when it would pass the
 * maximum; what was read until then is there.
 */
MUST_USE bool buf_read(struct buf *buf, int fd);

/* Takes `size` bytes from the front or leaves the first `size` bytes. */
void buf_consume(struct buf *buf, size_t size);
void buf_truncate(struct buf *buf, size_t size);

struct span buf_span(const struct buf *buf);
const char *buf_str(const struct buf *buf); /* never NULL; borrowed until the next change */
bool buf_is_over(const struct buf *buf);

/* The bytes as a C string that the caller frees; the buffer is empty afterwards. */
char *buf_steal(struct buf *buf);

#endif
