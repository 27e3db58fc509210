/* SPDX-License-Identifier: MIT */
/* Sums of TLS sessions; see sums.h. Runs in tlsrpt; what was remote text comes within its limits. */

#include "services/tlsrpt/sums.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mail/domain.h"
#include "mail/tlsrpt.h"

enum { RECORD_MAX = 16 * 1024 };

/* ---- one of many ---- */

static struct sums_policy *find_policy(struct sums *sums, struct span record)
{
	for (size_t i = 0; i < sums->count; i++)
		if (span_eq(buf_span(&sums->policies[i].record), record))
			return &sums->policies[i];
	return NULL;
}

static struct sums_policy *add_policy(struct sums *sums, struct span record)
{
	struct sums_policy *policy;

	sums->policies = mem_resize(sums->policies, (sums->count + 1) * sizeof(*policy));
	policy = &sums->policies[sums->count++];
	*policy = (struct sums_policy){ .record = BUF_INIT(RECORD_MAX) };
	(void)buf_add(&policy->record, record);
	sums->bytes += record.n + sizeof(*policy);
	return policy;
}

static struct sums_detail *find_detail(struct sums_policy *policy, struct span record)
{
	for (size_t i = 0; i < policy->detail_count; i++)
		if (span_eq(buf_span(&policy->details[i].record), record))
			return &policy->details[i];
	return NULL;
}

static struct sums_detail *add_detail(struct sums *sums, struct sums_policy *policy,
				      struct span record)
{
	struct sums_detail *detail;

	policy->details =
		mem_resize(policy->details, (policy->detail_count + 1) * sizeof(*detail));
	detail = &policy->details[policy->detail_count++];
	*detail = (struct sums_detail){ .record = BUF_INIT(RECORD_MAX) };
	(void)buf_add(&detail->record, record);
	sums->bytes += record.n + sizeof(*detail);
	return detail;
}

/* ---- counting ---- */

/* The detail for this failure, or what stands for all of its type; NULL: there is no room. */
static struct sums_detail *choose_detail(struct sums *sums, struct sums_policy *policy,
					 const struct msg_tlsrpt_note *note, bool may_grow)
{
	struct msg_tlsrpt_detail whole = { .failure = note->failure,
					   .sending_ip = note->sending_ip,
					   .mx_host = note->mx_host,
					   .mx_helo = note->mx_helo,
					   .receiving_ip = note->receiving_ip,
					   .reason = note->reason };
	struct msg_tlsrpt_detail plain = { .failure = note->failure };
	struct buf record = BUF_INIT(RECORD_MAX);
	struct sums_detail *detail = NULL;

	if (msg_tlsrpt_detail_encode(&record, &whole)) {
		detail = find_detail(policy, buf_span(&record));
		if (detail == NULL && may_grow && policy->detail_count < SUMS_DETAILS_MAX)
			detail = add_detail(sums, policy, buf_span(&record));
	}
	buf_reset(&record);
	if (detail == NULL && msg_tlsrpt_detail_encode(&record, &plain)) {
		detail = find_detail(policy, buf_span(&record));
		if (detail == NULL && policy->detail_count < SUMS_DETAILS_MAX + SUMS_TYPES_MAX)
			detail = add_detail(sums, policy, buf_span(&record));
	}
	buf_done(&record);
	return detail;
}

bool sums_add(struct sums *sums, const struct msg_tlsrpt_note *note, bool may_grow)
{
	struct msg_tlsrpt_policy message = { .type = note->policy_type,
					     .domain = note->policy_domain,
					     .strings = note->policy_strings,
					     .mx_patterns = note->mx_patterns };
	struct buf record = BUF_INIT(RECORD_MAX);
	struct sums_policy *policy = NULL;
	struct sums_detail *detail;

	if (msg_tlsrpt_policy_encode(&record, &message)) {
		policy = find_policy(sums, buf_span(&record));
		if (policy == NULL && may_grow && sums->count < SUMS_POLICIES_MAX)
			policy = add_policy(sums, buf_span(&record));
	}
	buf_done(&record);
	if (policy == NULL)
		return false;
	if (note->failure == TLSRPT_SUCCESS) {
		policy->successes++;
		return true;
	}
	policy->failures++;
	detail = choose_detail(sums, policy, note, may_grow);
	if (detail != NULL)
		detail->count++;
	return true;
}

void sums_totals(const struct sums *sums, uint64_t *ret_successes, uint64_t *ret_failures)
{
	*ret_successes = *ret_failures = 0;
	for (size_t i = 0; i < sums->count; i++) {
		*ret_successes += sums->policies[i].successes;
		*ret_failures += sums->policies[i].failures;
	}
}

void sums_done(struct sums *sums)
{
	for (size_t i = 0; i < sums->count; i++) {
		struct sums_policy *policy = &sums->policies[i];

		for (size_t k = 0; k < policy->detail_count; k++)
			buf_done(&policy->details[k].record);
		free(policy->details);
		buf_done(&policy->record);
	}
	free(sums->policies);
	*sums = (struct sums){ 0 };
}

/* ---- files ---- */

static bool encode_policy(const struct sums_policy *policy, struct buf *out)
{
	struct span rest = buf_span(&policy->record);
	struct msg_tlsrpt_policy message;
	struct msg_tlsrpt_detail detail;

	if (!msg_tlsrpt_policy_decode(&rest, &message))
		return false;
	message.successes = policy->successes;
	message.failures = policy->failures;
	if (!msg_tlsrpt_policy_encode(out, &message))
		return false;
	for (size_t i = 0; i < policy->detail_count; i++) {
		rest = buf_span(&policy->details[i].record);
		if (!msg_tlsrpt_detail_decode(&rest, &detail))
			return false;
		detail.count = policy->details[i].count;
		if (!msg_tlsrpt_detail_encode(out, &detail))
			return false;
	}
	return true;
}

bool sums_encode(const struct msg_tlsrpt_period *period, const struct sums *sums, struct buf *out)
{
	if (!msg_tlsrpt_period_encode(out, period))
		return false;
	for (size_t i = 0; i < sums->count; i++)
		if (!encode_policy(&sums->policies[i], out))
			return false;
	return true;
}

static bool decode_policy(struct span *rest, struct sums *sums)
{
	struct msg_tlsrpt_policy message;
	struct buf record = BUF_INIT(RECORD_MAX);
	struct sums_policy *policy;
	bool is_good;

	if (!msg_tlsrpt_policy_decode(rest, &message) || sums->count == SUMS_POLICIES_MAX ||
	    tlsrpt_policy_name(message.type) == NULL)
		return false;
	uint64_t successes = message.successes, failures = message.failures;

	message.successes = message.failures = 0;
	is_good = msg_tlsrpt_policy_encode(&record, &message) &&
		  find_policy(sums, buf_span(&record)) == NULL;
	if (is_good) {
		policy = add_policy(sums, buf_span(&record));
		policy->successes = successes;
		policy->failures = failures;
	}
	buf_done(&record);
	return is_good;
}

static bool decode_detail(struct span *rest, struct sums *sums)
{
	struct sums_policy *policy = sums->count > 0 ? &sums->policies[sums->count - 1] : NULL;
	struct msg_tlsrpt_detail message;
	struct buf record = BUF_INIT(RECORD_MAX);
	bool is_good;

	if (!msg_tlsrpt_detail_decode(rest, &message) || policy == NULL ||
	    policy->detail_count == SUMS_DETAILS_MAX + SUMS_TYPES_MAX ||
	    tlsrpt_failure_name(message.failure) == NULL)
		return false;
	uint64_t count = message.count;

	message.count = 0;
	is_good = msg_tlsrpt_detail_encode(&record, &message) &&
		  find_detail(policy, buf_span(&record)) == NULL;
	if (is_good)
		add_detail(sums, policy, buf_span(&record))->count = count;
	buf_done(&record);
	return is_good;
}

bool sums_decode(struct span wire, struct msg_tlsrpt_period *ret_period, struct sums *ret)
{
	struct msg_tlsrpt_period period;
	bool is_good;

	*ret = (struct sums){ 0 };
	is_good = msg_tlsrpt_period_decode(&wire, &period) && period.begin_s >= 0 &&
		  (period.end_s == 0 || period.end_s >= period.begin_s) &&
		  domain_check_name(period.domain, false) == DOMAIN_OK;
	while (is_good && wire.n > 0)
		is_good = strcmp(ipc_name(wire), "tlsrpt_policy") == 0 ? decode_policy(&wire, ret)
								       : decode_detail(&wire, ret);
	if (is_good)
		*ret_period = period;
	else
		sums_done(ret);
	return is_good;
}
