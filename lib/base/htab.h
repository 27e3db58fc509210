/* SPDX-License-Identifier: MIT */
#ifndef BASE_HTAB_H
#define BASE_HTAB_H

/*
 * A hash table from byte strings to pointers. It owns copies of the keys; the values are the
 * caller's. Hashing is seeded for each process, so that no peer can choose collisions.
 */

#include "base/span.h"

struct htab_slot;

struct htab {
	struct htab_slot **buckets;
	size_t bucket_count;
	size_t count;
};

/* A zeroed struct is an empty table. `free_value` may be NULL. */
void htab_done(struct htab *table, void (*free_value)(void *value));

void *htab_get(const struct htab *table, struct span key); /* NULL when absent */

/* Sets the value and returns the one it had, or NULL. `value` may not be NULL. */
void *htab_put(struct htab *table, struct span key, void *value);

void *htab_remove(struct htab *table, struct span key); /* the value it had, or NULL */

/*
 * Walks all entries in no order: start with *cursor = NULL. False at the end. The current entry
 * may be removed during the walk, no other, and none added. The key span is NUL-terminated.
 */
bool htab_next(const struct htab *table, struct htab_slot **cursor, struct span *ret_key,
	       void **ret_value);

/* 64 bits over `s`, the same within one process (FNV-1a with a random start, mixed). */
uint64_t htab_hash(struct span s);

#endif
