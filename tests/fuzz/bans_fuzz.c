/* SPDX-License-Identifier: MIT */
/* Bans as text, read, written and read again. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "net/bans.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bans bans = { .v4 = { 0 } }, again = { .v4 = { 0 } };
	struct htab_slot *cursor = NULL;
	struct buf text = BUF_INIT(1024 * 1024);

	if (size == 0 || size > 65536)
		return 0;
	bans_read(&bans, (struct span){ (const char *)data, size }, 1000);
	(void)bans_lines(&bans, &cursor, 1024 * 1024, &text);
	bans_read(&again, buf_span(&text), 1000);
	if (bans.nets.count != again.nets.count)
		abort();
	bans_expire(&bans, INT64_MAX);
	if (bans.nets.count != 0)
		abort();
	bans_done(&bans);
	bans_done(&again);
	buf_done(&text);
	return 0;
}
