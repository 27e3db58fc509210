/* SPDX-License-Identifier: MIT */
#ifndef MAIL_PROBE_SENDER_H
#define MAIL_PROBE_SENDER_H

/*
 * The sender of address probes (address_verify_sender): with address_verify_sender_ttl its local
 * part ends in a number that changes once in that time, so that an address somebody has collected
 * is of no use for long.
 */

#include "base/clock.h"
#include "base/span.h"

struct buf;

/*
 * Appends the sender that counts at `now` to `out`: `configured` as it is when ttl_s is 0. "" and
 * "<>" are the null sender, for which nothing is appended. False when `out` is full.
 */
MUST_USE bool probe_sender(struct buf *out, struct span configured, int ttl_s,
			   struct clock_wall now);

/*
 * Whether `address` is a probe sender of now, of the time before or of the next one (another host's
 * clock). `origin` is the domain of a configured address without one.
 */
bool probe_sender_is(struct span address, struct span configured, struct span origin, int ttl_s,
		     struct clock_wall now);

#endif
