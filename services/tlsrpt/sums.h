/* SPDX-License-Identifier: MIT */
#ifndef SERVICES_TLSRPT_SUMS_H
#define SERVICES_TLSRPT_SUMS_H

/*
 * How the TLS sessions of one domain went in one period: for each policy that was applied the number
 * of successes and failures, and each kind of failure with how often it came. Bounded: behind
 * SUMS_DETAILS_MAX a failure is counted by its type alone, and behind SUMS_POLICIES_MAX not at all.
 * Nothing is held twice: texts are kept as encoded records, which are also what is in a file.
 */

#include "ipc/messages.h"

enum {
	SUMS_POLICIES_MAX = 8,
	SUMS_DETAILS_MAX = 64,
	SUMS_TYPES_MAX = 16, /* more details, of the kind that has the type alone */
};

struct sums_detail {
	struct buf record; /* tlsrpt_detail with count 0 */
	uint64_t count;
};

struct sums_policy {
	struct buf record; /* tlsrpt_policy with counts 0 */
	uint64_t successes, failures;
	struct sums_detail *details;
	size_t detail_count;
};

struct sums {
	struct sums_policy *policies;
	size_t count;
	size_t bytes; /* of all texts */
};

/*
 * Counts one session. Without `may_grow` no text is added that is not there: what cannot be told apart
 * then is counted by its type, or not at all, which is false. A zeroed struct is empty.
 */
bool sums_add(struct sums *sums, const struct msg_tlsrpt_note *note, bool may_grow);
void sums_done(struct sums *sums);

void sums_totals(const struct sums *sums, uint64_t *ret_successes, uint64_t *ret_failures);

/* A period and its sums, as in a file. False when `out` is full. */
MUST_USE bool sums_encode(const struct msg_tlsrpt_period *period, const struct sums *sums,
			  struct buf *out);

/*
 * The other way round, strictly: false, with an empty *ret, for anything that sums_encode() does not
 * make. ret_period's text is borrowed from `wire`.
 */
MUST_USE bool sums_decode(struct span wire, struct msg_tlsrpt_period *ret_period,
			  struct sums *ret);

#endif
