/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_OUTCOMES_H
#define QUEUE_OUTCOMES_H

/*
 * The log of a message's outcomes: bounce/ID, defer/ID and trace/ID hold what will be told to
 * the sender, and the reasons that the listing shows.
 *
 *     "PQLOG1\n\0"            8 bytes
 *     u64                     bytes of records that count
 *     record...               u32 CRC-32C of what follows, and one `outcome` of messages.def
 *
 * An append writes behind what counts, then changes the count: whatever a crash leaves is
 * overwritten by the next append. Readers stop at the first record that is damaged.
 */

#include "queue/dirs.h"

/*
 * Appends the encoded outcomes to the log `dir`/`id`, which is made when it is missing. With
 * `is_durable` it survives a power cut once this returns true. False with errno; the log has
 * then what it had.
 */
MUST_USE bool queue_outcomes_append(const struct queue_dirs *dirs, enum queue_dir dir,
				    const char *id, struct span outcomes, bool is_durable);

/*
 * Reads the whole log into `ret` (its limit bounds it). False with errno, ENOENT when there is
 * none. Then one outcome after the other; spans are borrowed from the buffer.
 */
MUST_USE bool queue_outcomes_read(const struct queue_dirs *dirs, enum queue_dir dir, const char *id,
				  struct buf *ret);
bool queue_outcomes_next(struct span *rest, struct msg_outcome *ret);

#endif
