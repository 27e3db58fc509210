/* SPDX-License-Identifier: MIT */
/* Queue ids; see id.h. Pure functions. */

#include "queue/id.h"

#include <inttypes.h>
#include <stdio.h>

#define US_2020 1577836800000000

/* No vowels (no words), and no z: that one stands between the parts. */
static const char digits52[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

static char *put_base(char *at, unsigned base, int width, uint64_t value)
{
	for (int i = width - 1; i >= 0; i--) {
		at[i] = digits52[value % base];
		value /= base;
	}
	return at + width;
}

void queue_id_make(char id[QUEUE_ID_MAX], bool is_long, struct clock_wall now, unsigned counter)
{
	if (!is_long) {
		int64_t us = now.us > US_2020 ? now.us - US_2020 : now.us;

		(void)snprintf(id, QUEUE_ID_MAX, "%013" PRIX64 "%03X",
			       (uint64_t)us & 0xfffffffffffffu, counter & 0xfff);
		return;
	}

	char *at = put_base(id, 52, 6, (uint64_t)now.us / 1000000);

	at = put_base(at, 52, 4, (uint64_t)now.us % 1000000);
	*at++ = 'z';
	at = put_base(at, 51, 4, counter % (51 * 51 * 51 * 51));
	*at = '\0';
}

bool queue_id_is_valid(struct span id)
{
	if (id.n < 6 || id.n >= QUEUE_ID_MAX)
		return false;
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_alnum(id.p[i]))
			return false;
	return true;
}
