/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_FOOTER_H
#define SMTPD_FOOTER_H

#include "smtpd/session.h"

/* Opens the tables of smtpd_reject_footer_maps, as root. */
void footer_open(void);

/*
 * Appends the reply `text` ("550 5.1.1 ...", one line without its end) to `out`, with a line end, and
 * with smtpd_reject_footer where it is a refusal: then it may be several lines.
 */
void footer_add(struct buf *out, const struct session *s, struct span text);

#endif
