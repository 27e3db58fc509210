/* SPDX-License-Identifier: MIT */
/*
 * Warnings that many processes would repeat; see seldom.h. The mapping is made before the jail and
 * written by all workers, without locks: one that lies can keep a warning back, or repeat it.
 */

#include "proc/seldom.h"

#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/mem.h"

enum { PAUSE_MS = 200 * 1000 };

struct seldom {
	_Atomic int64_t next_us; /* 0: at once */
};

struct seldom *seldom_new(size_t count)
{
	return mem_shared(count * sizeof(struct seldom));
}

bool seldom_is_due(struct seldom *seldom, size_t index)
{
	int64_t next_us = atomic_load(&seldom[index].next_us);

	return clock_is_past((struct clock_mono){ next_us }) &&
	       atomic_compare_exchange_strong(&seldom[index].next_us, &next_us,
					      clock_in_ms(PAUSE_MS).us);
}
