/* SPDX-License-Identifier: MIT */
#ifndef NET_DNS_FILTER_H
#define NET_DNS_FILTER_H

/*
 * smtp_dns_reply_filter, smtpd_dns_reply_filter: tables that see each DNS record as a line of text,
 *
 *     example.com. 3600 IN MX 10 mx.example.com.
 *
 * and for which the action IGNORE means that it is as if the record was not there.
 */

#include "net/dns.h"

struct maps;

/* dns_lookup() of this process leaves such records out from now on. `maps` stays the caller's. */
void dns_filter_set(struct maps *maps);

/* The record as the tables see it. */
void dns_filter_text(const struct msg_dns_record *record, struct buf *out);

/*
 * Drops records of a successful result. False when a table failed, or when nothing is left:
 * nobody knows then where the mail should go, and *ret_reason, a constant, and the result's rcode say
 * which it was.
 */
MUST_USE bool dns_filter_apply(struct dns_result *result, const char **ret_reason);

#endif
