/* SPDX-License-Identifier: MIT */
/* lib/queue/id.h: the input as an id; and ids of both forms of a time and counter that it begins with. */

#include <stdlib.h>
#include <string.h>

#include "queue/id.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is valid is the name of a file, in a directory named by its first bytes, and fits. */
static void try_text(struct span text)
{
	bool is_name = text.n >= 6 && text.n < QUEUE_ID_MAX;

	for (size_t i = 0; i < text.n; i++)
		is_name = is_name && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
					    text.p[i]) != NULL && text.p[i] != '\0';
	if (queue_id_is_valid(text) != is_name)
		abort();
}

static uint64_t value_of(const char *digits, size_t count, uint64_t base)
{
	static const char alphabet[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
	uint64_t value = 0;

	for (size_t i = 0; i < count; i++) {
		const char *at = digits[i] != '\0' ? strchr(alphabet, digits[i]) : NULL;

		if (at == NULL || (uint64_t)(at - alphabet) >= base)
			abort();
		value = value * base + (uint64_t)(at - alphabet);
	}
	return value;
}

/* As postconf(5) enable_long_queue_ids has it, by which others read when mail came. */
static void try_long(struct clock_wall now, unsigned counter)
{
	char id[QUEUE_ID_MAX], later[QUEUE_ID_MAX];

	queue_id_make(id, true, now, counter);
	if (!queue_id_is_valid(span_of(id)) || strlen(id) != 15 || id[10] != 'z' ||
	    value_of(id, 6, 52) != (uint64_t)now.us / 1000000 ||
	    value_of(id + 6, 4, 52) != (uint64_t)now.us % 1000000 ||
	    value_of(id + 11, 4, 51) != counter % (51 * 51 * 51 * 51))
		abort();
	now.us++;
	queue_id_make(later, true, now, 0);
	if (strcmp(id, later) >= 0)
		abort();
}

static void try_short(struct clock_wall now, unsigned counter)
{
	char id[QUEUE_ID_MAX], other[QUEUE_ID_MAX];

	queue_id_make(id, false, now, counter);
	queue_id_make(other, false, now, counter + 1);
	if (!queue_id_is_valid(span_of(id)) || strlen(id) != 16 ||
	    strspn(id, "0123456789ABCDEF") != 16 || strcmp(id, other) == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct clock_wall now = { 0 };
	unsigned counter;

	try_text((struct span){ (const char *)data, size });
	if (size < 12)
		return 0;
	memcpy(&now.us, data, 7);
	memcpy(&counter, data + 8, 4);
	/* Up to the year 2540: six digits in base 52 are seconds enough. */
	now.us &= (INT64_C(1) << 54) - 1;
	try_short(now, counter);
	try_long(now, counter);
	return 0;
}
