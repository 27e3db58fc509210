/* SPDX-License-Identifier: MIT */
#ifndef IPC_CODEC_H
#define IPC_CODEC_H

/*
 * The wire form of a message, made from its description:
 *
 *     u32 length of all that follows | name NUL | u8 version | fields in order
 *
 * flag is one byte, u32/u64/i64 little endian, str and many a u32 length and the bytes. All
 * of one message stands in one packet, and several encoded ones in a row make a `many` field.
 */

#include "base/buf.h"

/* An encoded message that is part of another one, or of a queue file, is at most this long. */
enum { IPC_RECORD_MAX = 160 * 1024 };

enum ipc_type { IPC_flag, IPC_u32, IPC_u64, IPC_i64, IPC_str, IPC_many };

struct ipc_field {
	const char *name;
	enum ipc_type type;
	size_t offset; /* in the message's struct */
	size_t limit;  /* bytes, for str and many */
};

struct ipc_desc {
	const char *name;
	unsigned version;
	size_t struct_size;
	size_t field_count;
	const struct ipc_field *fields;
};

/*
 * Appends the encoded message to `out`. False when a field passes its limit or `out` its
 * maximum; `out` is then as before.
 */
MUST_USE bool ipc_encode(struct buf *out, const struct ipc_desc *desc, const void *message);

/*
 * Decodes the first message of *rest into *ret_message and moves *rest behind it. Spans point
 * into *rest. Strict: false, with nothing set, on another name or version, a field over its
 * limit, a flag that is not 0 or 1, or bytes left over inside the message.
 */
MUST_USE bool ipc_decode(struct span *rest, const struct ipc_desc *desc, void *ret_message);

/* Name of the first message of `wire`, or "" when it is not one. Borrowed from `wire`. */
const char *ipc_name(struct span wire);

/* One line for people, remote bytes cleaned: "deliver_request token=5 queue_id=..." */
void ipc_print(struct buf *out, const struct ipc_desc *desc, const void *message);

#endif
