/* SPDX-License-Identifier: MIT */
#ifndef MAIL_IDNA_H
#define MAIL_IDNA_H

/*
 * Internationalised domain names, with ICU behind them. ASCII input takes a short way and does
 * not touch ICU.
 */

#include "base/span.h"

struct buf;

/*
 * Appends the A-label form ("xn--...", lower case) of the UTF-8 domain `name`: UTS #46,
 * nontransitional, as enable_idna2003_compatibility=no has it; `is_transitional` for yes.
 * ASCII names are appended as they are. False, and nothing appended, when there is no such
 * form or it is no valid host name.
 */
MUST_USE bool idna_to_ascii(struct buf *out, struct span name, bool is_transitional);

/* The way back, for mail to and from SMTPUTF8 peers. False for a malformed A-label. */
MUST_USE bool idna_to_utf8(struct buf *out, struct span name, bool is_transitional);

#endif
