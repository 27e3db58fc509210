/* SPDX-License-Identifier: MIT */
#ifndef TABLE_LOOKUP_H
#define TABLE_LOOKUP_H

/*
 * The answers of tables behind the proxy, remembered over one piece of work (a recipient, a
 * transaction). It saves questions, and it makes lookups resumable: an event-driven caller
 * sets is_async; a function that needs an unknown answer then returns TABLE_PENDING with
 * `need` filled; the caller asks, tells lookup_memo_set(), and calls the same function again
 * from the start. Tables in this process are asked at once and never remembered.
 */

#include "base/htab.h"
#include "table/table.h"

struct lookup {
	bool is_async;
	struct htab memo; /* "type:name" NUL key -> struct lookup_answer */
	struct {
		struct buf table; /* "type:name", no "proxy:" in front */
		unsigned flags; /* the TABLE_ flags that the question must have */
		struct buf key;
	} need; /* valid after TABLE_PENDING until the next lookup */
	struct buf scratch;
};

void lookup_init(struct lookup *lookup, bool is_async);
void lookup_done(struct lookup *lookup);

/* Forgets all answers: at the end of the piece of work, so that changes are seen. */
void lookup_reset(struct lookup *lookup);

/* Remembers an answer. `text` is the value, or why it failed; it is copied. Not for PENDING. */
void lookup_memo_set(struct lookup *lookup, const char *table, struct span key,
		     enum table_status status, struct span text);

/*
 * Asks the proxy for `key` of `table`, or the memo. *ret_text (value or error) is borrowed
 * until the next call. `lookup` may be NULL, then *ret_text points into the buffers `value`
 * and `error`.
 */
MUST_USE enum table_status lookup_remote(struct lookup *lookup, const char *table,
					 unsigned flags, struct span key, struct buf *value,
					 struct buf *error, struct span *ret_text);

#endif
