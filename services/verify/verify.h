/* SPDX-License-Identifier: MIT */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

/* What the files of verify(8) share. */

#include "base/event.h"
#include "base/list.h"
#include "ipc/channel.h"
#include "ipc/verify.h"
#include "services/verify/record.h"

/* ---- cache.c: address_verify_map, or memory ---- */

/* Opens it, in the jail. A table that cannot be used is said, and replaced by memory. */
void cache_open(void);

/* False when nothing is known, or what is known is too old to count. */
bool cache_get(struct span address, struct record *ret);
void cache_put(struct span address, const struct record *record);
void cache_remove(struct span address);

/* Whether a probe should be made anew although the record still counts. */
bool cache_is_stale(const struct record *record);

/* ---- probe.c ---- */

/* Hands a probe for the address to cleanup. False: too many are on their way there. */
bool probe_send(struct span address);

#endif
