/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_ID_H
#define QUEUE_ID_H

/*
 * Queue ids: names of messages, made from the time in microseconds and a counter, never reused.
 * Two forms, as enable_long_queue_ids says:
 *
 *     short   13 hexadecimal digits of microseconds since 2020, 3 of the counter
 *     long    6 + 4 base-52 digits of seconds and microseconds since 1970, "z", 4 base-51
 *             digits of the counter; sorts by time (postconf(5) enable_long_queue_ids)
 */

#include "base/clock.h"
#include "base/span.h"

enum { QUEUE_ID_MAX = 24 }; /* with the NUL */

/* A new id in `id`; `counter` is any number that differs between ids of one microsecond. */
void queue_id_make(char id[QUEUE_ID_MAX], bool is_long, struct clock_wall now, unsigned counter);

/* Whether `id` can be a queue id of either form or of Postfix: it names a file, safely. */
bool queue_id_is_valid(struct span id);

#endif
