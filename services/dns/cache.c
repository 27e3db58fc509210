/* SPDX-License-Identifier: MIT */
/*
 * Answers that still hold, found and missing ones alike (RFC 2308), in a bounded amount of
 * memory: the one that was used least recently goes first.
 */

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dns.h"

enum {
	CACHE_BYTES_MAX = 32 * 1024 * 1024,
	ENTRY_BYTES = 256,        /* what an entry costs besides key and answer, about */
	TTL_MAX_S = 86400,
	NEGATIVE_TTL_MAX_S = 900,
};

struct entry {
	struct list link; /* most recently used first */
	char *key;
	size_t bytes;
	struct answer *answer;
};

static struct {
	struct htab entries;
	struct list by_use;
	size_t bytes;
} cache;

/* ---- answers ---- */

static struct answer *make(uint32_t rcode, struct span canonical, struct span records)
{
	struct answer *answer = mem_alloc(sizeof(*answer) + canonical.n + records.n);

	answer->uses = 1;
	answer->rcode = rcode;
	answer->size = canonical.n + records.n;
	if (canonical.n > 0)
		memcpy(answer->bytes, canonical.p, canonical.n);
	if (records.n > 0)
		memcpy(answer->bytes + canonical.n, records.p, records.n);
	answer->canonical = (struct span){ answer->bytes, canonical.n };
	answer->records = (struct span){ answer->bytes + canonical.n, records.n };
	return answer;
}

struct answer *answer_new(const struct dns_reply *reply, bool is_secure)
{
	struct answer *answer = make(reply->rcode, buf_span(&reply->canonical),
				     buf_span(&reply->records));
	uint32_t limit = reply->count > 0 ? TTL_MAX_S : NEGATIVE_TTL_MAX_S;
	uint32_t ttl_s = reply->ttl_s < limit ? reply->ttl_s : limit;

	answer->is_secure = is_secure;
	answer->expires = clock_in_ms((int64_t)ttl_s * 1000);
	return answer;
}

struct answer *answer_failure(uint32_t rcode)
{
	return make(rcode, SPAN(""), SPAN(""));
}

struct answer *answer_share(struct answer *answer)
{
	answer->uses++;
	return answer;
}

void answer_drop(struct answer *answer)
{
	if (answer != NULL && --answer->uses == 0)
		free(answer);
}

/* ---- the cache ---- */

static void forget(struct entry *entry)
{
	(void)htab_remove(&cache.entries, span_of(entry->key));
	list_remove(&entry->link);
	cache.bytes -= entry->bytes;
	answer_drop(entry->answer);
	free(entry->key);
	free(entry);
}

struct answer *cache_get(struct span key)
{
	struct entry *entry = htab_get(&cache.entries, key);

	if (entry == NULL)
		return NULL;
	if (clock_is_past(entry->answer->expires)) {
		forget(entry);
		return NULL;
	}
	list_remove(&entry->link);
	list_prepend(&cache.by_use, &entry->link);
	return answer_share(entry->answer);
}

void cache_put(struct span key, struct answer *answer)
{
	struct entry *entry = htab_get(&cache.entries, key);

	if (cache.by_use.next == NULL)
		list_init(&cache.by_use);
	if (entry != NULL)
		forget(entry);
	if (clock_is_past(answer->expires))
		return;
	entry = NEW(struct entry);
	entry->key = mem_dup(key);
	entry->answer = answer_share(answer);
	entry->bytes = ENTRY_BYTES + 2 * key.n + answer->size;
	cache.bytes += entry->bytes;
	(void)htab_put(&cache.entries, key, entry);
	list_prepend(&cache.by_use, &entry->link);
	while (cache.bytes > CACHE_BYTES_MAX)
		forget(CONTAINER_OF(cache.by_use.prev, struct entry, link));
}
