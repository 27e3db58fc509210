/* SPDX-License-Identifier: MIT */
#ifndef DELIVER_PREFIX_H
#define DELIVER_PREFIX_H

/* What a delivery puts in front of a message: the From_ line and the headers of the delivery. */

#include "base/buf.h"
#include "base/clock.h"

/* Appends "From sender  Sat Nov 21 22:41:41 2026"; the null sender is MAILER-DAEMON. */
void prefix_from_line(struct buf *out, struct span sender, struct clock_wall now);

/* Append header lines with LF; an empty original or delivered address appends nothing. */
void prefix_return_path(struct buf *out, struct span sender);
void prefix_original_to(struct buf *out, struct span address);
void prefix_delivered_to(struct buf *out, struct span address);

#endif
