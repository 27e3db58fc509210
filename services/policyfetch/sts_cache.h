/* SPDX-License-Identifier: MIT */
#ifndef SERVICES_POLICYFETCH_STS_CACHE_H
#define SERVICES_POLICYFETCH_STS_CACHE_H

/*
 * What is known of the MTA-STS policies of domains, in the directory "mta-sts" of the jail: a file
 * each domain, by its name in lower case, with one sts_entry. A file is written beside and renamed, so
 * it is whole or not there; what is read is checked again. The time of modification says until when it
 * is of use. STS_CACHE_MAX files at most, roughly: then those go that would go first anyway.
 */

#include "base/clock.h"
#include "ipc/messages.h"

enum { STS_CACHE_MAX = 50000, STS_ENTRY_MAX = 70 * 1024 };

/* In prepare(); and in the jail before there are workers: removes what is of no use any more. */
void sts_cache_open(void);
void sts_cache_start(void);

/* False: there is nothing, or nothing to believe. Spans point into *wire. */
MUST_USE bool sts_cache_get(struct span domain, struct buf *wire, struct msg_sts_entry *ret);

/*
 * Until when a fetch that failed is not repeated, in seconds since 1970: five minutes, and twice as long
 * after each further failure, up to an hour (RFC 8461 3.3). 0 when none has failed.
 */
int64_t sts_cache_next_try(const struct msg_sts_entry *entry);

/* Keeps it. A failure is logged: then it is fetched again next time. */
void sts_cache_put(const struct msg_sts_entry *entry, int64_t until_s);

#endif
