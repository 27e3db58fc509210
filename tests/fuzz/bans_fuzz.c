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
	static const char *const addrs[] = { "192.0.2.1", "198.51.100.7", "2001:db8::7" };
	struct buf text = BUF_INIT(1024 * 1024);
	char net[BAN_TEXT_MAX];
	struct ip_addr addr;

	if (size == 0 || size > 65536)
		return 0;
	bans_read(&bans, (struct span){ (const char *)data, size }, 1000);
	(void)bans_lines(&bans, &cursor, 1024 * 1024, &text);
	bans_read(&again, buf_span(&text), 1000);
	if (bans.nets.count != again.nets.count)
		abort();
	for (size_t i = 0; i < ARRAY_LEN(addrs); i++)
		if (ip_parse(span_of(addrs[i]), &addr) &&
		    bans_find(&bans, &addr, 1000, net) != bans_find(&again, &addr, 1000, net))
			abort();
	bans_expire(&bans, INT64_MAX);
	if (bans.nets.count != 0)
		abort();
	bans_done(&bans);
	bans_done(&again);
	buf_done(&text);
	return 0;
}
