/* SPDX-License-Identifier: MIT */
#ifndef SERVICES_POLICYFETCH_POLICYFETCH_H
#define SERVICES_POLICYFETCH_POLICYFETCH_H

/*
 * What policyfetch can be asked. A kind of request is one message, a file with its handler, and a
 * row in the table of policyfetch.c, which says who may send it:
 *
 *     policyfetch.c   the program: jail, dispatch
 *     https.c         HTTPS, for all of them
 *     sts.c           sts_query: the MTA-STS policy of a domain
 *     report.c        report_post: a TLS report to deliver
 *     sts_cache.c     where policies are kept
 *     sts_entry.c     what is read back there
 *     oauth.c         token_query: an OAuth access token for a relay
 *     oauth_store.c   where tokens are kept
 *     locks.c         one worker at a time for a domain, or an account
 *
 * Two services run it: "policyfetch" for policies, and "oauth" for tokens. Each answers its own kind
 * alone, and has nothing of the other's in its memory.
 */

#include "ipc/channel.h"

/*
 * Handles the request that was received last, whose decoded form `request` points into
 * channel->in: nothing else may be received before it is done. It sends the answer. False: the
 * client is of no use any more.
 */
typedef bool handler_fn(struct ipc_channel *channel, const void *request);

enum { ANSWER_MS = 5000 };

/* In prepare(), and in the jail before the workers. oauth_prepare(): whether there is any account. */
void sts_prepare(void);
void sts_start(void);
handler_fn sts_handle;
handler_fn report_handle;
bool oauth_prepare(void);
void oauth_start(void);
handler_fn oauth_handle;

#endif
