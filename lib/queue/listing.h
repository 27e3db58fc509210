/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_LISTING_H
#define QUEUE_LISTING_H

/* The queue as people see it: for showq, and for postqueue when the mail system is down. */

#include "base/htab.h"
#include "queue/dirs.h"

/*
 * Gets one message after the other, or a part of one with many recipients (`more`). The spans
 * are borrowed. False ends the walk.
 */
typedef bool queue_list_fn(void *context, const struct msg_showq_entry *entry);

/* So that some processes list together: each message is of one share, 0 to count - 1. */
struct queue_share {
	uint32_t number, count;
};
enum { QUEUE_SHARES_MAX = 16 };

/*
 * Goes through maildrop, incoming, deferred and hold. Messages whose id is a key of `active`,
 * which may be NULL, are shown as active. False when `take` said so.
 */
bool queue_list(const struct queue_dirs *dirs, const struct htab *active, struct queue_share share,
		queue_list_fn *take, void *context);

#endif
