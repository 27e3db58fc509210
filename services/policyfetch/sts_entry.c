/* SPDX-License-Identifier: MIT */
/* Files of MTA-STS policies as bytes; see sts_entry.h. Runs in policyfetch, in its jail. */

#include "services/policyfetch/sts_entry.h"

#include "ipc/sts.h"
#include "mail/sts.h"

enum { RETRY_S = 5 * 60, RETRY_MAX_S = 60 * 60 };

static bool is_time(int64_t time_s)
{
	return time_s >= 0 && time_s <= STS_ENTRY_TIME_MAX_S;
}

/* RFC 8461 3.1: sts-id, or nothing. */
static bool is_id(struct span id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_alnum(id.p[i]))
			return false;
	return id.n <= STS_ID_MAX;
}

static bool is_policy(struct span text)
{
	struct sts_policy policy;
	const char *reason;

	return sts_policy_parse(text, &policy, &reason);
}

bool sts_entry_read(struct span wire, struct span domain, struct msg_sts_entry *ret)
{
	struct msg_sts_entry entry;

	if (!msg_sts_entry_decode(&wire, &entry) || wire.n > 0)
		return false;
	if (!span_eq(entry.domain, domain) || !is_time(entry.fetched_s) || !is_time(entry.failed_s))
		return false;
	if (!is_id(entry.id) || !is_id(entry.failed_id) || entry.failure > STS_FAILURE_INVALID)
		return false;
	if (entry.text.n > 0 && (entry.id.n == 0 || !is_policy(entry.text)))
		return false;
	*ret = entry;
	return true;
}

int64_t sts_entry_next_try(const struct msg_sts_entry *entry)
{
	int64_t pause_s = RETRY_S;

	if (entry->failed_id.n == 0)
		return 0;
	for (uint32_t i = 1; i < entry->failures && pause_s < RETRY_MAX_S; i++)
		pause_s *= 2;
	return entry->failed_s + (pause_s < RETRY_MAX_S ? pause_s : RETRY_MAX_S);
}
