/* SPDX-License-Identifier: MIT */
#ifndef MAIL_STS_H
#define MAIL_STS_H

/*
 * MTA-STS (RFC 8461): the TXT record that says that a domain has a policy, the text of the policy,
 * and which MX hosts it allows. Pure functions over borrowed text.
 */

#include <stdint.h>

#include "base/span.h"

enum { STS_ID_MAX = 32, STS_AGE_MAX_S = 31557600, STS_POLICY_MAX = 65536 };

/*
 * Whether a TXT record of _mta-sts.DOMAIN counts: records of others are passed over, and of those that
 * count there must be exactly one (RFC 8461 3.1).
 */
bool sts_record_counts(struct span record);

/* The id in such a record: letters and digits, STS_ID_MAX at most. False: it is not well-formed. */
MUST_USE bool sts_record_parse(struct span record, struct span *ret_id);

enum sts_mode { STS_MODE_NONE, STS_MODE_TESTING, STS_MODE_ENFORCE };

struct sts_policy {
	enum sts_mode mode;
	uint32_t max_age_s; /* at most STS_AGE_MAX_S, whatever the text says */
	struct span text;   /* the policy as it was; borrowed */
	size_t mx_count;
};

/*
 * Parses a policy (RFC 8461 3.2). False and a reason (a constant) when a field is missing or one that
 * counts is wrong; fields that nobody knows are passed over, and so are empty lines.
 */
MUST_USE bool sts_policy_parse(struct span text, struct sts_policy *ret, const char **ret_reason);

/* The next pattern of a policy that was parsed; *rest begins as its text. False: there is no more. */
bool sts_next_mx(struct span *rest, struct span *ret_pattern);

/* Whether an MX host is allowed: a name in A-labels. "*." stands for one label (RFC 8461 4.1). */
bool sts_policy_allows(const struct sts_policy *policy, struct span host);
bool sts_pattern_matches(struct span pattern, struct span host);

/*
 * Whether it may name a field of a record or policy: sts-ext-name of RFC 8461 3.1, which RFC 8460 3 has as
 * well.
 */
bool sts_is_field_name(struct span name);

/* "enforce" and so on. */
const char *sts_mode_name(enum sts_mode mode);

#endif
