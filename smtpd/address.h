/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_ADDRESS_H
#define SMTPD_ADDRESS_H

#include "smtpd/session.h"

/* How strictly addresses are read here and now: enum smtp_addr_flags. */
unsigned address_flags(const struct session *s);

/* SMTP_EXT_XVERP for a client of smtpd_authorized_verp_clients, else 0. */
unsigned verp_ext(struct session *s);

/*
 * The address with a domain beyond ASCII in its one normal form (UTS #46: composed, lower case, no
 * wide letters), so that tables have one key for it. As it is when there is none; else in `arena`.
 */
struct span address_normal(struct arena *arena, struct span address);

/* Answers a MAIL or RCPT whose arguments are wrong. */
void reply_parse_error(struct session *s, enum smtp_cmd_status status, const char *verb,
		       struct span bad);

#endif
