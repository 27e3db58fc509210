/* SPDX-License-Identifier: MIT */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

/* Dates as headers and mailboxes have them. */

#include "base/clock.h"
#include "base/span.h"

enum { DATE_SIZE = 64 };

/*
 * "Sat, 21 Nov 2026 22:41:41 +0000 (UTC)": RFC 5322 3.3, local time, with the name of the zone
 * as comment. NUL-terminated in `text`; returns it as a span.
 */
struct span date_rfc5322(struct clock_wall when, char text[DATE_SIZE]);

/* "Sat Nov 21 22:41:41 2026": the From_ line of mbox files, and postqueue's list. */
struct span date_ctime(struct clock_wall when, char text[DATE_SIZE]);

#endif
