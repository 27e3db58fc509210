/* SPDX-License-Identifier: MIT */
/*
 * The snapshot of a service's parameters. Written by master (root), read once by each service
 * before it enters its jail, from a descriptor that master made; the reader is strict all the
 * same, since a mixed-up installation is the likeliest fault.
 *
 * Form: the line "postern-conf 1\n", records, and a record of type 'E' that counts them. A
 * record is type (1 byte), name length (2), value length (4), both least byte first, name, value.
 * Types: P a parameter, S its value under stress, N per-transport or user-defined, X extra.
 */

#include "conf/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

#define HEADER "postern-conf 1\n"

enum {
	RECORD_HEAD = 7,
	SNAPSHOT_MAX = 64 * 1024 * 1024, /* bytes */
};

struct conf_snapshot {
	struct buf bytes;
	uint32_t records;
	bool is_ended;
};

static void add_record(struct conf_snapshot *snapshot, char type, struct span name,
		       struct span value)
{
	const unsigned char head[RECORD_HEAD] = {
		(unsigned char)type,
		(unsigned char)name.n, (unsigned char)(name.n >> 8),
		(unsigned char)value.n, (unsigned char)(value.n >> 8),
		(unsigned char)(value.n >> 16), (unsigned char)(value.n >> 24),
	};

	buf_append(&snapshot->bytes, head, sizeof(head));
	buf_add(&snapshot->bytes, name);
	buf_add(&snapshot->bytes, value);
	snapshot->records++;
}

static void take_value(void *context, const struct conf_param *param, struct span value,
		       bool is_stressed)
{
	/* A default with $name in it is never the value itself. */
	if (is_stressed || !span_is(value, param->value))
		add_record(context, is_stressed ? 'S' : 'P', span_of(param->name), value);
}

static void take_named(void *context, struct span name, struct span value)
{
	add_record(context, 'N', name, value);
}

struct conf_snapshot *conf_snapshot_new(const struct conf_scope *scope, enum conf_program program,
					struct conf_report *report)
{
	struct conf_snapshot *snapshot = NEW(struct conf_snapshot);
	uint32_t who = 1u << program;

	buf_init(&snapshot->bytes, SNAPSHOT_MAX);
	buf_text(&snapshot->bytes, HEADER);
	conf_evaluate(scope, who, report, take_value, snapshot);
	conf_evaluate_named(scope, who, report, take_named, snapshot);
	return snapshot;
}

void conf_snapshot_free(struct conf_snapshot *snapshot)
{
	if (snapshot == NULL)
		return;
	buf_done(&snapshot->bytes);
	free(snapshot);
}

void conf_snapshot_extra_set(struct conf_snapshot *snapshot, const char *name, struct span value)
{
	add_record(snapshot, 'X', span_of(name), value);
}

int conf_snapshot_write(struct conf_snapshot *snapshot)
{
	int fd;

	if (!snapshot->is_ended) {
		char count[16];
		int length = snprintf(count, sizeof(count), "%u", snapshot->records);

		add_record(snapshot, 'E', (struct span){ NULL, 0 },
			   (struct span){ count, (size_t)length });
		snapshot->is_ended = true;
	}
	if (buf_is_over(&snapshot->bytes)) {
		errno = EFBIG;
		return -1;
	}
	fd = memfd_create("postern-conf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (fd_write_all(fd, buf_span(&snapshot->bytes)) && lseek(fd, 0, SEEK_SET) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
		return fd;
	close(fd);
	return -1;
}

struct record {
	char type;
	struct span name, value;
};

static bool take_record(struct span *bytes, struct record *ret_record)
{
	const unsigned char *head = (const unsigned char *)bytes->p;
	size_t name_size, value_size;

	if (bytes->n < RECORD_HEAD)
		return false;
	name_size = head[1] | (size_t)head[2] << 8;
	value_size = head[3] | (size_t)head[4] << 8 | (size_t)head[5] << 16 | (size_t)head[6] << 24;
	if (bytes->n - RECORD_HEAD < name_size ||
	    bytes->n - RECORD_HEAD - name_size < value_size)
		return false;
	ret_record->type = (char)head[0];
	*bytes = span_from(*bytes, RECORD_HEAD);
	ret_record->name = span_first(*bytes, name_size);
	*bytes = span_from(*bytes, name_size);
	ret_record->value = span_first(*bytes, value_size);
	*bytes = span_from(*bytes, value_size);
	return true;
}

static struct arena extra_texts;
static struct htab extras; /* to struct span in `extra_texts` */

static void set_extra(struct span name, struct span value)
{
	struct span *copy = arena_alloc(&extra_texts, sizeof(*copy));

	*copy = arena_span(&extra_texts, value);
	htab_put(&extras, name, copy);
}

static const char *apply_record(const struct record *record, bool is_lmtp)
{
	const struct conf_param *param;

	switch (record->type) {
	case 'P':
	case 'S':
		param = conf_param_find(record->name);
		if (param == NULL || param->kind != CONF_PARAM)
			return "configuration snapshot has an unknown parameter";
		if (!conf_values_set(param, record->value, record->type == 'S', is_lmtp))
			return "configuration snapshot has a bad value";
		return NULL;
	case 'N':
		conf_values_set_named(record->name, record->value);
		return NULL;
	case 'X':
		set_extra(record->name, record->value);
		return NULL;
	default:
		return "configuration snapshot has an unknown record";
	}
}

const char *conf_snapshot_parse(struct span bytes, bool is_lmtp)
{
	struct record record;
	uint64_t records = 0, expected;

	conf_values_reset();
	htab_done(&extras, NULL);
	arena_done(&extra_texts);
	if (is_lmtp)
		conf_values_set_twins();
	if (!span_starts(bytes, SPAN(HEADER)))
		return "not a configuration snapshot of this version";
	bytes = span_from(bytes, sizeof(HEADER) - 1);
	while (take_record(&bytes, &record)) {
		const char *wrong;

		if (record.type == 'E') {
			if (bytes.n == 0 && span_u64(record.value, UINT32_MAX, &expected) &&
			    expected == records)
				return NULL;
			return "configuration snapshot has a wrong end";
		}
		wrong = apply_record(&record, is_lmtp);
		if (wrong != NULL)
			return wrong;
		records++;
	}
	return "configuration snapshot is cut off";
}

const char *conf_snapshot_load(int fd, bool is_lmtp)
{
	const char *wrong;
	struct stat st;
	void *bytes;

	if (fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size > SNAPSHOT_MAX)
		return "configuration snapshot cannot be read";
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return "configuration snapshot cannot be mapped";
	wrong = conf_snapshot_parse((struct span){ bytes, (size_t)st.st_size }, is_lmtp);
	munmap(bytes, (size_t)st.st_size);
	return wrong;
}

bool conf_snapshot_extra_get(const char *name, struct span *ret_value)
{
	const struct span *value = htab_get(&extras, span_of(name));

	if (value == NULL)
		return false;
	*ret_value = *value;
	return true;
}
