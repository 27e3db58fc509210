/* SPDX-License-Identifier: MIT */
#ifndef IPC_MESSAGES_H
#define IPC_MESSAGES_H

/*
 * What messages.def makes: for each message NAME a struct msg_NAME, its description
 * msg_NAME_desc(), and msg_NAME_encode() and msg_NAME_decode() with the contracts of codec.h. The
 * spans of a decoded message are borrowed from what was decoded.
 */

#include "ipc/codec.h"

#define IPC_C_flag bool
#define IPC_C_u32 uint32_t
#define IPC_C_u64 uint64_t
#define IPC_C_i64 int64_t
#define IPC_C_str struct span
#define IPC_C_many struct span

#define MESSAGE(message, number) struct msg_##message {
#define FIELD(type, field, size) IPC_C_##type field;
#define END(message) };
#include "ipc/messages.def"
#undef MESSAGE
#undef FIELD
#undef END

#define MESSAGE(message, number) const struct ipc_desc *msg_##message##_desc(void);
#define FIELD(type, field, size)
#define END(message) \
	MUST_USE static inline bool msg_##message##_encode(struct buf *out, \
							   const struct msg_##message *from) \
	{ \
		return ipc_encode(out, msg_##message##_desc(), from); \
	} \
	MUST_USE static inline bool msg_##message##_decode(struct span *rest, \
							   struct msg_##message *ret) \
	{ \
		return ipc_decode(rest, msg_##message##_desc(), ret); \
	}
#include "ipc/messages.def"
#undef MESSAGE
#undef FIELD
#undef END

/* The description of the index-th message, NULL behind the last: for tests, fuzzing, the manual. */
const struct ipc_desc *ipc_message(size_t index);

#endif
