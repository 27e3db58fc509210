/* SPDX-License-Identifier: MIT */
#ifndef DELIVER_DELAYS_H
#define DELIVER_DELAYS_H

#include "base/buf.h"

/*
 * Appends a time as the delay= of log lines has it: in seconds, two significant digits, at most
 * `max_digits` (0 to 6) behind the point and no zeros at the end. Negative times count as 0.
 * See postconf(5) delay_logging_resolution_limit.
 */
void delay_format(struct buf *out, int64_t us, int max_digits);

#endif
