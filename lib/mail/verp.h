/* SPDX-License-Identifier: MIT */
#ifndef MAIL_VERP_H
#define MAIL_VERP_H

/* Variable envelope return paths: a sender for each recipient (VERP_README). */

#include "base/span.h"

struct buf;

/* Two bytes, both in `allowed` (verp_delimiter_filter). */
bool verp_are_delimiters(struct span delimiters, struct span allowed);

/*
 * The recipient that the sender address gets: as the client gave it, before aliases, if that is
 * known, so that the list manager knows it.
 */
struct span verp_rcpt(struct span orig_address, struct span address);

/*
 * Appends "owner-list+user=domain@origin" for the sender "owner-list@origin", the recipient
 * "user@domain" and the delimiters "+=". The null sender stays as it is, and so does
 * `double_bounce`, the local part of double_bounce_sender.
 */
bool verp_sender(struct buf *out, struct span delimiters, struct span sender,
		 struct span recipient, const char *double_bounce);

#endif
