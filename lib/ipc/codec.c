/* SPDX-License-Identifier: MIT */
/*
 * Encodes and decodes messages by their descriptions; see codec.h. Runs in every process.
 * What it decodes comes from another process and is trusted in nothing.
 */

#include "ipc/codec.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"

static void put_le(struct buf *out, uint64_t value, size_t size)
{
	char bytes[8];

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(value >> (8 * i));
	(void)buf_append(out, bytes, size);
}

static bool get_le(struct span *rest, size_t size, uint64_t *ret_value)
{
	if (rest->n < size)
		return false;
	*ret_value = 0;
	for (size_t i = 0; i < size; i++)
		*ret_value |= (uint64_t)(unsigned char)rest->p[i] << (8 * i);
	*rest = span_from(*rest, size);
	return true;
}

static bool put_field(struct buf *out, const struct ipc_field *field, const char *at)
{
	switch (field->type) {
	case IPC_flag: put_le(out, *(const bool *)(const void *)at, 1); return true;
	case IPC_u32: put_le(out, *(const uint32_t *)(const void *)at, 4); return true;
	case IPC_u64: put_le(out, *(const uint64_t *)(const void *)at, 8); return true;
	case IPC_i64: put_le(out, (uint64_t) * (const int64_t *)(const void *)at, 8); return true;
	case IPC_str:
	case IPC_many: {
		struct span s = *(const struct span *)(const void *)at;

		if (s.n > field->limit)
			return false;
		put_le(out, s.n, 4);
		(void)buf_add(out, s);
		return true;
	}
	}
	return false;
}

bool ipc_encode(struct buf *out, const struct ipc_desc *desc, const void *message)
{
	size_t start = out->length;
	bool fits = true;

	put_le(out, 0, 4);
	(void)buf_append(out, desc->name, strlen(desc->name) + 1);
	(void)buf_char(out, (char)desc->version);
	for (size_t i = 0; fits && i < desc->field_count; i++)
		fits = put_field(out, &desc->fields[i],
				 (const char *)message + desc->fields[i].offset);
	if (!fits || buf_is_over(out)) {
		buf_truncate(out, start);
		return false;
	}

	size_t length = out->length - start - 4;

	for (size_t i = 0; i < 4; i++)
		out->data[start + i] = (char)(length >> (8 * i));
	return true;
}

static bool get_field(struct span *rest, const struct ipc_field *field, char *at)
{
	uint64_t value;

	switch (field->type) {
	case IPC_flag:
		if (!get_le(rest, 1, &value) || value > 1)
			return false;
		*(bool *)(void *)at = value == 1;
		return true;
	case IPC_u32:
		if (!get_le(rest, 4, &value))
			return false;
		*(uint32_t *)(void *)at = (uint32_t)value;
		return true;
	case IPC_u64:
		return get_le(rest, 8, (uint64_t *)(void *)at);
	case IPC_i64:
		if (!get_le(rest, 8, &value))
			return false;
		*(int64_t *)(void *)at = (int64_t)value;
		return true;
	case IPC_str:
	case IPC_many:
		if (!get_le(rest, 4, &value) || value > field->limit || value > rest->n)
			return false;
		*(struct span *)(void *)at = span_first(*rest, (size_t)value);
		*rest = span_from(*rest, (size_t)value);
		return true;
	}
	return false;
}

/* The payload of the first message of `wire` behind its length. */
static bool payload(struct span *wire, struct span *ret_payload)
{
	uint64_t length;

	if (!get_le(wire, 4, &length) || length > wire->n)
		return false;
	*ret_payload = span_first(*wire, (size_t)length);
	*wire = span_from(*wire, (size_t)length);
	return true;
}

bool ipc_decode(struct span *rest, const struct ipc_desc *desc, void *ret_message)
{
	struct span wire = *rest, body;
	size_t name_size = strlen(desc->name) + 1;
	_Alignas(max_align_t) char message[1024] = { 0 };

	if (desc->struct_size > sizeof(message))
		panic("ipc: struct of %s is too large", desc->name);
	if (!payload(&wire, &body) || body.n < name_size + 1 ||
	    memcmp(body.p, desc->name, name_size) != 0 ||
	    (unsigned char)body.p[name_size] != desc->version)
		return false;
	body = span_from(body, name_size + 1);
	for (size_t i = 0; i < desc->field_count; i++)
		if (!get_field(&body, &desc->fields[i], message + desc->fields[i].offset))
			return false;
	if (body.n != 0)
		return false;
	memcpy(ret_message, message, desc->struct_size);
	*rest = wire;
	return true;
}

const char *ipc_name(struct span wire)
{
	struct span body;

	if (!payload(&wire, &body) || !span_has(body, '\0'))
		return "";
	return body.p;
}

void ipc_print(struct buf *out, const struct ipc_desc *desc, const void *message)
{
	(void)buf_text(out, desc->name);
	for (size_t i = 0; i < desc->field_count; i++) {
		const struct ipc_field *field = &desc->fields[i];
		const void *at = (const char *)message + field->offset;

		(void)buf_printf(out, " %s=", field->name);
		switch (field->type) {
		case IPC_flag: (void)buf_text(out, *(const bool *)at ? "yes" : "no"); break;
		case IPC_u32: (void)buf_printf(out, "%" PRIu32, *(const uint32_t *)at); break;
		case IPC_u64: (void)buf_printf(out, "%" PRIu64, *(const uint64_t *)at); break;
		case IPC_i64: (void)buf_printf(out, "%" PRId64, *(const int64_t *)at); break;
		case IPC_str: (void)buf_text(out, log_clean(*(const struct span *)at)); break;
		case IPC_many:
			(void)buf_printf(out, "(%zu bytes)", ((const struct span *)at)->n);
			break;
		}
	}
}
