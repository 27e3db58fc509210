/* SPDX-License-Identifier: MIT */
/* Counting the events of clients; see rates.h. Runs in anvil and in the front of smtpd. */

#include "net/rates.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct client {
	struct list link;
	struct clock_mono start; /* of its window */
	unsigned counts[RATE_KINDS];
	char *name;
};

void rates_init(struct rates *rates, size_t limit, int64_t window_ms)
{
	*rates = (struct rates){ .limit = limit, .window_ms = window_ms };
	list_init(&rates->by_time);
}

static void forget(struct rates *rates, struct client *client)
{
	(void)htab_remove(&rates->clients, span_of(client->name));
	list_remove(&client->link);
	free(client->name);
	free(client);
}

void rates_done(struct rates *rates)
{
	while (!list_is_empty(&rates->by_time))
		forget(rates, CONTAINER_OF(rates->by_time.next, struct client, link));
	htab_done(&rates->clients, NULL);
}

static struct client *find(struct rates *rates, struct span name, struct clock_mono now)
{
	struct client *client = htab_get(&rates->clients, name);

	if (client == NULL) {
		if (rates->clients.count >= rates->limit)
			forget(rates, CONTAINER_OF(rates->by_time.next, struct client, link));
		client = NEW(struct client);
		client->name = mem_dup(name);
		client->start = now;
		(void)htab_put(&rates->clients, name, client);
	} else {
		list_remove(&client->link);
	}
	list_append(&rates->by_time, &client->link);
	return client;
}

unsigned rates_add(struct rates *rates, struct span name, enum rate_kind kind, struct clock_mono now)
{
	struct client *client = find(rates, name, now);

	if (clock_add_ms(client->start, rates->window_ms).us <= now.us) {
		client->start = now;
		for (size_t i = 0; i < RATE_KINDS; i++)
			client->counts[i] = 0;
	}
	return ++client->counts[kind];
}

size_t rates_clients(const struct rates *rates)
{
	return rates->clients.count;
}

void rates_client(const struct ip_addr *addr, int v4_bits, int v6_bits,
		  char ret_text[RATES_CLIENT_MAX])
{
	struct ip_addr net = *addr;
	bool is_v6 = addr->family == IP_V6;
	int bits = is_v6 ? v6_bits : v4_bits, all_bits = is_v6 ? 128 : 32;
	char text[IP_TEXT_MAX];

	if (bits < all_bits)
		ip_mask(&net, (unsigned)bits);
	(void)ip_text(&net, text);
	if (bits < all_bits)
		(void)snprintf(ret_text, RATES_CLIENT_MAX, "%s/%d", text, bits);
	else
		(void)snprintf(ret_text, RATES_CLIENT_MAX, "%s", text);
}
