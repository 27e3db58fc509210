/* SPDX-License-Identifier: MIT */
/*
 * The order of SRV records (RFC 2782): lowest priority first, and within one priority by chance, in
 * proportion to the weights. The records are from anybody.
 */

#include "smtp.h"

#include <stdlib.h>

#include "ipc/messages.h"

/* Weights of 0 come first within a priority: the draw takes them only when it draws 0. */
static int compare(const void *left, const void *right)
{
	const struct msg_dns_record *a = left, *b = right;

	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	return a->weight < b->weight ? -1 : a->weight > b->weight;
}

/* The one of the first `count` that a random number chooses. */
static size_t draw(const struct msg_dns_record *records, size_t count, unsigned number)
{
	uint64_t total = 0, sum = 0, wanted;
	size_t i = 0;

	for (size_t k = 0; k < count; k++)
		total += records[k].weight;
	wanted = number % (total + 1);
	while (i + 1 < count && (sum += records[i].weight) < wanted)
		i++;
	return i;
}

void srv_order(struct msg_dns_record *records, size_t count, unsigned (*random_number)(void))
{
	if (count > 0)
		qsort(records, count, sizeof(*records), compare);
	for (size_t i = 0; i < count; i++) {
		size_t same = 1, chosen;
		struct msg_dns_record record;

		while (i + same < count && records[i + same].preference == records[i].preference)
			same++;
		chosen = i + draw(&records[i], same, random_number());
		/* Those before it move up, so that weights of 0 stay in front. */
		record = records[chosen];
		for (; chosen > i; chosen--)
			records[chosen] = records[chosen - 1];
		records[i] = record;
	}
}
