/* SPDX-License-Identifier: MIT */
#ifndef NET_DNS_MEMORY_H
#define NET_DNS_MEMORY_H

#include "ipc/messages.h"

/*
 * The last few answers of the dns service that this process has heard, for as long as they hold and
 * for a few seconds at most: a client that connects again and again, or one destination of many
 * messages, costs no question each time.
 */

/* The answer to that question; false: not known. Its spans hold until the next dns_memory_put(). */
bool dns_memory_get(const struct msg_dns_query *query, struct msg_dns_answer *ret);

/* Copies both. Nothing is kept of failures, and of what is big or must not be kept. */
void dns_memory_put(const struct msg_dns_query *query, const struct msg_dns_answer *answer);

#endif
