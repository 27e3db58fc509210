/* SPDX-License-Identifier: MIT */
#ifndef SERVICES_POLICYFETCH_STS_ENTRY_H
#define SERVICES_POLICYFETCH_STS_ENTRY_H

/*
 * The file of a domain's MTA-STS policy, read back: one sts_entry of ipc/messages.def. The disk may have
 * damaged it, and other workers, which talk to strangers, see the same directory. Pure functions.
 */

#include "ipc/messages.h"

enum { STS_ENTRY_MAX = 70 * 1024 };

/* The end of the year 9999: no time in an entry is later, so that ages may be added to them. */
#define STS_ENTRY_TIME_MAX_S INT64_C(253402300799)

/*
 * Decodes the entry that is the whole of `wire`; spans of *ret point into that. False when it is none, or
 * when it cannot have been written for `domain`:
 *
 *     domain                 is another one
 *     fetched_s, failed_s    not within 0 and STS_ENTRY_TIME_MAX_S
 *     text                   neither empty nor a policy
 *     id, failed_id          not letters and digits as a TXT record has them, nor empty; `id` is there when
 *                            `text` is
 *     failure                no enum sts_failure
 */
MUST_USE bool sts_entry_read(struct span wire, struct span domain, struct msg_sts_entry *ret);

/*
 * Until when a fetch that failed is not repeated, in seconds since 1970: five minutes, and twice as long
 * after each further failure, up to an hour (RFC 8461 3.3). 0 when none has failed.
 */
int64_t sts_entry_next_try(const struct msg_sts_entry *entry);

#endif
