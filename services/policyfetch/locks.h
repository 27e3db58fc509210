/* SPDX-License-Identifier: MIT */
#ifndef POLICYFETCH_LOCKS_H
#define POLICYFETCH_LOCKS_H

/*
 * Locks by name between the workers of a service, so that one asks a server and the others wait for what it
 * got. A worker that dies lets go. Two names may share a lock; that costs time and no more.
 */

#include "base/clock.h"
#include "base/span.h"

/* Opens "#locks" in `directory`; in start(), and fatal when it cannot. */
void locks_open(int directory);

/* False when somebody else has it until `deadline`. A worker holds one at a time. */
MUST_USE bool lock_take(struct span name, struct clock_mono deadline);
void lock_drop(struct span name);

#endif
