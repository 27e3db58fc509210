/* SPDX-License-Identifier: MIT */
/* The descriptions of all messages, made from messages.def. */

#include "ipc/messages.h"

#include <stddef.h>

/* A function for each message, since only inside one can FIELD say which struct it is in. */
#define MESSAGE(message, number) \
	const struct ipc_desc *msg_##message##_desc(void) \
	{ \
		typedef struct msg_##message self; \
		enum { self_version = (number) }; \
		static const struct ipc_field fields[] = {
#define FIELD(type, field, size) { #field, IPC_##type, offsetof(self, field), (size) },
#define END(message) \
		}; \
		static const struct ipc_desc desc = { #message, self_version, sizeof(self), \
						      ARRAY_LEN(fields), fields }; \
		return &desc; \
	}
#include "ipc/messages.def"
#undef MESSAGE
#undef FIELD
#undef END

const struct ipc_desc *ipc_message(size_t index)
{
#define MESSAGE(message, number) msg_##message##_desc,
#define FIELD(type, field, size)
#define END(message)
	static const struct ipc_desc *(*const all[])(void) = {
#include "ipc/messages.def"
	};
#undef MESSAGE
#undef FIELD
#undef END
	return index < ARRAY_LEN(all) ? all[index]() : NULL;
}
