/* SPDX-License-Identifier: MIT */
/* Answers of the dns service that were heard a moment ago; see dns_memory.h. Runs where dns.c does. */

#include "net/dns_memory.h"

#include <string.h>

#include "base/clock.h"

enum { ENTRIES = 8, NAME_BYTES = 255, ANSWER_BYTES = 512, KEEP_MAX_S = 5 };

static struct entry {
	struct clock_mono expires; /* long ago: it is free */
	struct clock_mono heard;
	uint32_t type, flags;
	size_t name_size, records_size, canonical_size;
	char name[NAME_BYTES];
	uint32_t rcode;
	bool is_secure;
	char answer[ANSWER_BYTES]; /* records, then the canonical name */
} entries[ENTRIES];

static struct span name_of(const struct entry *entry)
{
	return (struct span){ entry->name, entry->name_size };
}

static bool is_for(const struct entry *entry, const struct msg_dns_query *query)
{
	return entry->type == query->type && entry->flags == query->flags &&
	       span_eq(name_of(entry), query->name);
}

bool dns_memory_get(const struct msg_dns_query *query, struct msg_dns_answer *ret)
{
	struct clock_mono now = clock_mono_now();

	for (size_t i = 0; i < ENTRIES; i++) {
		const struct entry *entry = &entries[i];

		if (entry->expires.us <= now.us || !is_for(entry, query))
			continue;
		*ret = (struct msg_dns_answer){
			.rcode = entry->rcode,
			.is_secure = entry->is_secure,
			.ttl_s = (uint32_t)((entry->expires.us - now.us) / 1000000),
			.records = { entry->answer, entry->records_size },
			.canonical_name = { entry->answer + entry->records_size,
					    entry->canonical_size },
		};
		return true;
	}
	return false;
}

/* Names that are there, and that are not (RFC 1035 4.1.1). */
static bool may_keep(const struct msg_dns_query *query, const struct msg_dns_answer *answer)
{
	return (answer->rcode == 0 || answer->rcode == 3) && answer->ttl_s > 0 &&
	       query->name.n <= NAME_BYTES &&
	       answer->records.n + answer->canonical_name.n <= ANSWER_BYTES;
}

void dns_memory_put(const struct msg_dns_query *query, const struct msg_dns_answer *answer)
{
	struct entry *entry = &entries[0];
	uint32_t keep_s = answer->ttl_s < KEEP_MAX_S ? answer->ttl_s : KEEP_MAX_S;

	if (!may_keep(query, answer))
		return;
	/* Its own place, or that of the oldest. */
	for (size_t i = 0; i < ENTRIES && !is_for(entry, query); i++)
		if (is_for(&entries[i], query) || entries[i].heard.us < entry->heard.us)
			entry = &entries[i];
	entry->heard = clock_mono_now();
	entry->expires = clock_add_ms(entry->heard, (int64_t)keep_s * 1000);
	entry->type = query->type;
	entry->flags = query->flags;
	entry->name_size = query->name.n;
	memcpy(entry->name, query->name.p, query->name.n);
	entry->rcode = answer->rcode;
	entry->is_secure = answer->is_secure;
	entry->records_size = answer->records.n;
	entry->canonical_size = answer->canonical_name.n;
	if (answer->records.n > 0)
		memcpy(entry->answer, answer->records.p, answer->records.n);
	if (answer->canonical_name.n > 0)
		memcpy(entry->answer + answer->records.n, answer->canonical_name.p,
		       answer->canonical_name.n);
}
