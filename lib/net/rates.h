/* SPDX-License-Identifier: MIT */
#ifndef NET_RATES_H
#define NET_RATES_H

/*
 * How often clients do something: connections, messages, recipients and so on are counted for each
 * client from its first event on, for one unit of time, and then anew. The table is bounded:
 * beyond its limit the client that was seen longest ago is forgotten, so that a flood of
 * addresses costs memory once and no more.
 */

#include "base/clock.h"
#include "base/htab.h"
#include "base/ip.h"
#include "base/list.h"

enum rate_kind { RATE_CONNECTION, RATE_MESSAGE, RATE_RECIPIENT, RATE_NEW_TLS, RATE_AUTH, RATE_KINDS };

/* In a rate_peak message also how many connections there were at the same time. */
enum { RATE_CONCURRENCY = RATE_KINDS, RATE_PEAKS };

struct rates {
	struct htab clients;
	struct list by_time; /* seen longest ago first */
	size_t limit;
	int64_t window_ms;
};

/* An empty table for at most `limit` clients (at least 1). */
void rates_init(struct rates *rates, size_t limit, int64_t window_ms);
void rates_done(struct rates *rates);

/* Counts one event of this client; how many of that kind there are now in its window. */
unsigned rates_add(struct rates *rates, struct span client, enum rate_kind kind,
		   struct clock_mono now);

size_t rates_clients(const struct rates *rates);

/*
 * What counts as one client: the address, or its network as "192.0.2.0/24" when fewer bits are
 * given than it has (smtpd_client_ipv4_prefix_length, smtpd_client_ipv6_prefix_length).
 */
enum { RATES_CLIENT_MAX = IP_TEXT_MAX + 12 };
void rates_client(const struct ip_addr *addr, int v4_bits, int v6_bits,
		  char ret_text[RATES_CLIENT_MAX]);

#endif
