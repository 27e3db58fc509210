/* SPDX-License-Identifier: MIT */
#ifndef IPC_STS_H
#define IPC_STS_H

/*
 * Asking policyfetch for the MTA-STS policy of a domain (RFC 8461): sts_query, answered by
 * sts_answer. That comes at once from the cache; or first comes sts_wait, and the answer when the
 * policy was fetched, at the latest after STS_FETCH_MS. No answer is a local fault: nobody knows then
 * whether there is a policy, and mail must wait.
 */

enum { STS_FETCH_MS = 75 * 1000 };

/*
 * What went wrong when a policy was looked for. With a policy in the answer it is the one that was
 * fetched before and has not expired; without one the domain counts as having none (RFC 8461 3.3).
 */
enum sts_failure {
	STS_FAILURE_NONE,
	STS_FAILURE_RECORD, /* the TXT record: not exactly one, or not well-formed */
	STS_FAILURE_DNS,    /* the TXT record or the server's address could not be looked up */
	STS_FAILURE_FETCH,  /* no HTTPS, no time, another code than 200, too large */
	STS_FAILURE_WEBPKI, /* the certificate of the HTTPS server */
	STS_FAILURE_INVALID, /* what came is no policy */
};

#endif
