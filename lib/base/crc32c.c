/* SPDX-License-Identifier: MIT */
/* CRC-32C; see crc32c.h. */

#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

static uint32_t table[256];

static void make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
		table[i] = crc;
	}
}

static uint32_t by_table(uint32_t crc, const unsigned char *data, size_t size)
{
	if (table[1] == 0)
		make_table();
	while (size-- > 0)
		crc = (crc >> 8) ^ table[(crc ^ *data++) & 0xff];
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc,
								  const unsigned char *data,
								  size_t size)
{
	uint64_t wide = crc;

	for (; size >= 8; size -= 8, data += 8) {
		uint64_t word;

		memcpy(&word, data, 8);
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = (uint32_t)wide;
	while (size-- > 0)
		crc = __builtin_ia32_crc32qi(crc, *data++);
	return crc;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
	crc = ~crc;
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return ~by_instruction(crc, data, size);
#endif
	return ~by_table(crc, data, size);
}
