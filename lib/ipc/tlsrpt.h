/* SPDX-License-Identifier: MIT */
#ifndef IPC_TLSRPT_H
#define IPC_TLSRPT_H

/*
 * Talking to tlsrpt, which collects how TLS sessions went and reports it (RFC 8460). smtp sends
 * tlsrpt_note and hears nothing; it never waits, and what does not go through is forgotten. The
 * administrator sends tlsrpt_command over private/tlsrpt, which is root's; each queue_answer has
 * lines of text, and the last one has `more` off. The answers of TLSRPT_SEND come as reports are done.
 */

enum tlsrpt_verb {
	TLSRPT_LIST = 1, /* what is collected, and what waits to be sent */
	TLSRPT_SEND,     /* what was collected until now is reported at once, and what waits */
};

#endif
