/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_HEADER_H
#define QUEUE_HEADER_H

/* Where the numbers of a queue file's header stand (little endian). For lib/queue alone. */

#include <stddef.h>
#include <stdint.h>

#define QUEUE_MAGIC "POSTERNQ"

enum {
	QUEUE_VERSION = 1,
	HEADER_AT_VERSION = 8,   /* u32 */
	HEADER_AT_ARRIVAL = 16,  /* i64, microseconds */
	HEADER_AT_BODY = 24,     /* u64 offset, u64 size, u32 crc */
	HEADER_AT_HEAD = 44,
	HEADER_AT_ENVELOPE = 64,
	HEADER_AT_RCPTS = 84,    /* u32 */
	HEADER_AT_CONTENT = 88,  /* u32 */
	HEADER_AT_FLAGS = 92,    /* u32 */
	HEADER_AT_CRC = 96,      /* u32, of all bytes before it */
};

uint64_t queue_get_le(const unsigned char *at, size_t size);
void queue_put_le(unsigned char *at, size_t size, uint64_t value);

#endif
