/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_AUTHORS_H
#define SMTPD_AUTHORS_H

/*
 * Whether a message may be from whom its From: header says: smtpd_header_from_login_check.
 *
 * cleanup reads the head and asks (submit_authors), smtpd knows the login and the tables and
 * answers (submit_consent); so there is one reader of headers, and one place that knows what is whose.
 */

#include "ipc/messages.h"
#include "smtpd/session.h"

/* SUBMIT_ASK_AUTHORS when this session's mail is to be checked, else 0. */
uint32_t authors_option(const struct session *s);

/*
 * The verdict. True fills *ret_consent, whose texts last as long as the transaction. False: refused
 * and logged; the answer is in s->reply.
 */
MUST_USE bool check_authors(struct session *s, const struct msg_submit_authors *authors,
			    struct msg_submit_consent *ret_consent);

#endif
