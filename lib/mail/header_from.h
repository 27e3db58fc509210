/* SPDX-License-Identifier: MIT */
#ifndef MAIL_HEADER_FROM_H
#define MAIL_HEADER_FROM_H

/* The From: header that the mail system adds for a sender with a name. */

#include "base/span.h"

struct buf;

enum header_from_format { /* header_from_format */
	HEADER_FROM_STANDARD, /* Name <address> */
	HEADER_FROM_OBSOLETE, /* address (Name) */
};

/*
 * Appends the value. `address` is in internal form. The name is quoted where it has more than
 * atoms and blanks; runs of blanks become one, controls go. Without a name the address stands
 * alone. False when `out` is full.
 */
bool header_from(struct buf *out, enum header_from_format format, struct span name,
		 struct span address);

#endif
