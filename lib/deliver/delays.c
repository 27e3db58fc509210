/* SPDX-License-Identifier: MIT */
/* Times in log lines; see delays.h. Pure. */

#include "deliver/delays.h"

enum { SECOND_US = 1000000 };

void delay_format(struct buf *out, int64_t us, int max_digits)
{
	int64_t step = SECOND_US, fraction, digit;

	if (us < 0)
		us = 0;
	for (int i = 0; i < max_digits && step > 1; i++)
		step /= 10;
	/* Coarser until no more than two significant digits are left before the whole seconds. */
	while (step < SECOND_US && us >= step * 100)
		step *= 10;
	us += step / 2;
	us -= us % step;

	(void)buf_printf(out, "%lld", (long long)(us / SECOND_US));
	fraction = us % SECOND_US;
	if (fraction > 0)
		(void)buf_char(out, '.');
	for (digit = SECOND_US / 10; fraction > 0; digit /= 10) {
		(void)buf_char(out, (char)('0' + fraction / digit));
		fraction %= digit;
	}
}
