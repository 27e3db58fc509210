/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_FRONT_NET_LIST_H
#define SMTPD_FRONT_NET_LIST_H

/*
 * Clients that are exempt from limits: as much of a list of match_list patterns as front can decide on
 * (smtpd_client_event_limit_exceptions, smtpd_auth_ban_exceptions). Names and tables take a lookup, which
 * is for smtpd. What is decided here is what table/match.h would say. Pure functions.
 */

#include "base/ip.h"

/* Whether the list has the client. */
enum exemption {
	EXEMPT_NO,
	EXEMPT_YES,
	EXEMPT_PERHAPS, /* by its name, or a table: smtpd can say */
};

struct net_pattern {
	struct ip_net net;
	bool is_negated; /* "!NET" */
};

/* The networks of a list, up to the first pattern that is none. */
struct net_list {
	struct net_pattern *patterns;
	size_t count;
	bool is_whole; /* it has nothing but networks */
};

/* Patterns between blanks and commas. `patterns` is the caller's to free. */
struct net_list net_list_parse(struct span text);


/* The first pattern that has the address decides. */
enum exemption net_list_find(const struct net_list *list, const struct ip_addr *addr);

#endif
