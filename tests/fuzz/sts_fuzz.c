/* SPDX-License-Identifier: MIT */
/* lib/mail/sts.h: a TXT record, or a policy and, behind a NUL, a host. */

#include <stdlib.h>
#include <string.h>

#include "mail/domain.h"
#include "mail/sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_record(struct span text)
{
	struct span id;

	if (sts_record_parse(text, &id) &&
	    (!sts_record_counts(text) || id.n == 0 || id.n > STS_ID_MAX || id.p < text.p ||
	     id.p + id.n > text.p + text.n))
		abort();
}

static void try_policy(struct span text, struct span host)
{
	struct sts_policy policy = { 0 };
	const char *reason = NULL;
	struct span rest, pattern;
	size_t count = 0;

	if (!sts_policy_parse(text, &policy, &reason)) {
		if (reason == NULL)
			abort();
		return;
	}
	rest = policy.text;
	while (sts_next_mx(&rest, &pattern)) {
		count++;
		if (span_has(pattern, ' ') || span_has(pattern, '\0'))
			abort();
		/* A pattern without a wildcard allows itself. */
		if (pattern.p[0] != '*' && !sts_policy_allows(&policy, pattern))
			abort();
	}
	if (count != policy.mx_count || policy.max_age_s > STS_AGE_MAX_S ||
	    strlen(sts_mode_name(policy.mode)) == 0)
		abort();
	if (sts_policy_allows(&policy, host) && count == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size }, policy = text, host = { NULL, 0 };

	try_record(text);
	(void)span_cut(text, '\0', &policy, &host);
	try_policy(policy, host);
	return 0;
}
