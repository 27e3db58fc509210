/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

/*
 * Two clocks that cannot be mixed up: the monotonic one for deadlines, the wall clock for what
 * is written down. Both count microseconds.
 */

#include <stdbool.h>
#include <stdint.h>

struct clock_mono {
	int64_t us;
};

struct clock_wall {
	int64_t us; /* since 1970-01-01 00:00 UTC */
};

#define CLOCK_NEVER ((struct clock_mono){ INT64_MAX })

struct clock_mono clock_mono_now(void);
struct clock_wall clock_wall_now(void);

/* `ms` from now, or from `start`; both stop at CLOCK_NEVER. */
struct clock_mono clock_in_ms(int64_t ms);
struct clock_mono clock_add_ms(struct clock_mono start, int64_t ms);

/* Milliseconds until then, rounded up: 0 when past, at most INT_MAX, -1 (poll: no limit) for never. */
int clock_poll_ms(struct clock_mono deadline);
bool clock_is_past(struct clock_mono deadline);

#endif
