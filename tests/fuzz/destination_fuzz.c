/* SPDX-License-Identifier: MIT */
/* Destinations of aliases, .forward files and :include: lists. */

#include "deliver/destination.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct destination_reader reader;
	struct destination one;

	if (size == 0)
		return 0;
	destination_start(&reader, (struct span){ (const char *)data + 1, size - 1 }, data[0] & 1);
	while (destination_next(&reader, &one))
		if (one.text.n == 0)
			__builtin_trap();
	destination_done(&reader);
	return 0;
}
