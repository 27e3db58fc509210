/* SPDX-License-Identifier: MIT */
#ifndef SERVICES_POLICYFETCH_STS_CACHE_H
#define SERVICES_POLICYFETCH_STS_CACHE_H

/*
 * What is known of the MTA-STS policies of domains, in the directory "mta-sts" of the jail: a file
 * each domain, by its name in lower case, with one sts_entry (sts_entry.h). A file is written beside and renamed, so
 * it is whole or not there; what is read is checked again. The time of modification says until when it
 * is of use. STS_CACHE_MAX files at most, roughly: then those go that would go first anyway.
 */

#include "base/clock.h"
#include "services/policyfetch/sts_entry.h"

enum { STS_CACHE_MAX = 50000 };

/* In prepare(); and in the jail before there are workers: removes what is of no use any more. */
void sts_cache_open(void);
void sts_cache_start(void);

/* False: there is nothing, or nothing to believe. Spans point into *wire. */
MUST_USE bool sts_cache_get(struct span domain, struct buf *wire, struct msg_sts_entry *ret);

/* Keeps it. A failure is logged: then it is fetched again next time. */
void sts_cache_put(const struct msg_sts_entry *entry, int64_t until_s);

#endif
