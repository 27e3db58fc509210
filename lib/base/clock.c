/* SPDX-License-Identifier: MIT */
/* Monotonic and wall clock; see clock.h. */

#include "base/clock.h"

#include <limits.h>
#include <time.h>

static int64_t now_us(clockid_t id)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

struct clock_mono clock_mono_now(void)
{
	return (struct clock_mono){ now_us(CLOCK_MONOTONIC) };
}

struct clock_wall clock_wall_now(void)
{
	return (struct clock_wall){ now_us(CLOCK_REALTIME) };
}

struct clock_mono clock_add_ms(struct clock_mono start, int64_t ms)
{
	if (ms >= (INT64_MAX - start.us) / 1000)
		return CLOCK_NEVER;
	return (struct clock_mono){ start.us + ms * 1000 };
}

struct clock_mono clock_in_ms(int64_t ms)
{
	return clock_add_ms(clock_mono_now(), ms);
}

int clock_poll_ms(struct clock_mono deadline)
{
	if (deadline.us == INT64_MAX)
		return -1;

	int64_t left = deadline.us - now_us(CLOCK_MONOTONIC);

	if (left <= 0)
		return 0;
	left = (left + 999) / 1000;
	return left > INT_MAX ? INT_MAX : (int)left;
}

bool clock_is_past(struct clock_mono deadline)
{
	return now_us(CLOCK_MONOTONIC) >= deadline.us;
}
