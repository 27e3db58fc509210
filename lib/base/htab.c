/* SPDX-License-Identifier: MIT */
/* Chained hash table that doubles at load 1; see htab.h. */

#include "base/htab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"

struct htab_slot {
	struct htab_slot *next;
	uint64_t hash;
	void *value;
	size_t key_size;
	char key[];
};

enum { FIRST_BUCKETS = 16 };

uint64_t htab_hash(struct span s)
{
	static uint64_t seed;

	if (seed == 0 && (getrandom(&seed, sizeof(seed), 0) != sizeof(seed) || seed == 0))
		seed = 0xcbf29ce484222325u;

	uint64_t hash = seed;

	for (size_t i = 0; i < s.n; i++)
		hash = (hash ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93u;
	return hash ^ (hash >> 32);
}

static struct htab_slot **place(const struct htab *table, uint64_t hash, struct span key)
{
	struct htab_slot **slot = &table->buckets[hash & (table->bucket_count - 1)];

	while (*slot != NULL &&
	       !((*slot)->hash == hash &&
		 span_eq((struct span){ (*slot)->key, (*slot)->key_size }, key)))
		slot = &(*slot)->next;
	return slot;
}

static void grow(struct htab *table)
{
	size_t count = table->bucket_count > 0 ? table->bucket_count * 2 : FIRST_BUCKETS;
	struct htab_slot **buckets = mem_array(count, sizeof(*buckets));

	for (size_t i = 0; i < table->bucket_count; i++) {
		struct htab_slot *slot = table->buckets[i];

		while (slot != NULL) {
			struct htab_slot *next = slot->next;
			struct htab_slot **head = &buckets[slot->hash & (count - 1)];

			slot->next = *head;
			*head = slot;
			slot = next;
		}
	}
	free(table->buckets);
	table->buckets = buckets;
	table->bucket_count = count;
}

void htab_done(struct htab *table, void (*free_value)(void *value))
{
	for (size_t i = 0; i < table->bucket_count; i++) {
		struct htab_slot *slot = table->buckets[i];

		while (slot != NULL) {
			struct htab_slot *next = slot->next;

			if (free_value != NULL)
				free_value(slot->value);
			free(slot);
			slot = next;
		}
	}
	free(table->buckets);
	*table = (struct htab){ 0 };
}

void *htab_get(const struct htab *table, struct span key)
{
	if (table->count == 0)
		return NULL;

	struct htab_slot *slot = *place(table, htab_hash(key), key);

	return slot != NULL ? slot->value : NULL;
}

void *htab_put(struct htab *table, struct span key, void *value)
{
	if (table->count >= table->bucket_count)
		grow(table);

	uint64_t hash = htab_hash(key);
	struct htab_slot **slot = place(table, hash, key);

	if (*slot != NULL) {
		void *old = (*slot)->value;

		(*slot)->value = value;
		return old;
	}
	*slot = mem_resize(NULL, sizeof(**slot) + key.n + 1);
	**slot = (struct htab_slot){ .hash = hash, .value = value, .key_size = key.n };
	if (key.n > 0)
		memcpy((*slot)->key, key.p, key.n);
	(*slot)->key[key.n] = '\0';
	table->count++;
	return NULL;
}

void *htab_remove(struct htab *table, struct span key)
{
	if (table->count == 0)
		return NULL;

	struct htab_slot **slot = place(table, htab_hash(key), key);
	struct htab_slot *found = *slot;

	if (found == NULL)
		return NULL;

	void *value = found->value;

	*slot = found->next;
	free(found);
	table->count--;
	return value;
}

/*
 * The cursor is the slot that comes next, found before the current one may go. The end is
 * marked by a slot of nobody's.
 */
static struct htab_slot end_mark;

static struct htab_slot *first_from(const struct htab *table, size_t bucket)
{
	for (; bucket < table->bucket_count; bucket++)
		if (table->buckets[bucket] != NULL)
			return table->buckets[bucket];
	return &end_mark;
}

bool htab_next(const struct htab *table, struct htab_slot **cursor, struct span *ret_key,
	       void **ret_value)
{
	struct htab_slot *slot = *cursor != NULL ? *cursor : first_from(table, 0);

	if (slot == &end_mark) {
		*cursor = NULL;
		return false;
	}
	*cursor = slot->next != NULL
			  ? slot->next
			  : first_from(table, (slot->hash & (table->bucket_count - 1)) + 1);
	*ret_key = (struct span){ slot->key, slot->key_size };
	*ret_value = slot->value;
	return true;
}
