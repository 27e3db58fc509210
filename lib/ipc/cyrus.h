/* SPDX-License-Identifier: MIT */
#ifndef IPC_CYRUS_H
#define IPC_CYRUS_H

/*
 * Between smtpd and cyrusauth(8). A connection is for one question: sasl_listmech, answered by a
 * sasl_mech for each mechanism and one without a name behind the last; or one login: sasl_begin,
 * answered by sasl_answer, and, as long as that is a challenge, sasl_continue, answered again.
 */

enum cyrus_verdict { CYRUS_CHALLENGE, CYRUS_SUCCESS, CYRUS_FAILURE, CYRUS_TEMPORARY };

enum { CYRUS_BYTES_MAX = 16 * 1024, CYRUS_USER_MAX = 1024 };

#endif
