/* SPDX-License-Identifier: MIT */
/*
 * sts_query: the MTA-STS policy of a domain (RFC 8461), from the cache, or from its web server when the
 * TXT record has a new id. Runs in the workers of policyfetch. The DNS may be forged, and says no more
 * than when to look; the policy is what the certificate of mta-sts.DOMAIN vouches for.
 */

#include "services/policyfetch/policyfetch.h"

#include <stdio.h>

#include "base/log.h"
#include "ipc/sts.h"
#include "mail/domain.h"
#include "mail/sts.h"
#include "net/dns.h"
#include "services/policyfetch/https.h"
#include "services/policyfetch/locks.h"
#include "services/policyfetch/sts_cache.h"

enum {
	LOOKUP_MS = 15 * 1000,
	FETCH_MS = 30 * 1000,       /* RFC 8461 3.3: a minute or less */
	FORGET_S = 60 * 60,         /* failures, when nobody asks for that long */
	REFRESH_S = 24 * 60 * 60,   /* RFC 8461 10.2: daily, long before it expires */
};

/* One query at work. */
struct work {
	struct span domain;          /* lower case */
	struct msg_sts_entry entry;  /* what is known */
	struct buf wire;             /* the file, which `entry` points into */
	struct buf made;             /* what was fetched, likewise */
	struct span id;              /* of the TXT record; empty: there is none that counts */
	struct dns_result record;    /* which `id` points into */
	enum sts_failure failure;    /* of the TXT record */
	const char *reason;
	char failed_reason[256];     /* of a fetch that failed now */
	int64_t now_s;
};

void sts_prepare(void)
{
	sts_cache_open();
}

void sts_start(void)
{
	sts_cache_start();
}

/* ---- the TXT record ---- */

static void fail_record(struct work *work, enum sts_failure failure, const char *reason)
{
	work->failure = failure;
	work->reason = reason;
	work->id = (struct span){ NULL, 0 };
}

/* RFC 8461 3.1: exactly one record that begins as ours do. */
static void choose_record(struct work *work)
{
	const struct msg_dns_record *found = NULL;

	for (size_t i = 0; i < work->record.count; i++) {
		const struct msg_dns_record *record = &work->record.records[i];

		if (!sts_record_counts(record->data))
			continue;
		if (found != NULL) {
			fail_record(work, STS_FAILURE_RECORD, "more than one TXT record");
			return;
		}
		found = record;
	}
	if (found != NULL && !sts_record_parse(found->data, &work->id))
		fail_record(work, STS_FAILURE_RECORD, "malformed TXT record");
}

static void find_record(struct work *work)
{
	struct buf name = BUF_INIT(DOMAIN_NAME_MAX + 1);

	/* A longer name has no record. */
	if (buf_printf(&name, "_mta-sts.%.*s", SPAN_ARG(work->domain))) {
		switch (dns_lookup(buf_span(&name), DNS_TXT, 0, clock_in_ms(LOOKUP_MS),
				   &work->record)) {
		case DNS_FOUND: choose_record(work); break;
		case DNS_NO_NAME:
		case DNS_NO_DATA: break;
		case DNS_TEMPORARY:
		case DNS_INVALID:
			fail_record(work, STS_FAILURE_DNS, work->record.reason);
			break;
		}
	}
	buf_done(&name);
}

/* ---- what is known ---- */

/* Of a policy that was checked when it came, and when it was read. */
static int64_t max_age(const struct msg_sts_entry *entry)
{
	struct sts_policy policy;
	const char *reason;

	return entry->text.n > 0 && sts_policy_parse(entry->text, &policy, &reason) ? policy.max_age_s
										    : 0;
}

/* A clock that was set back makes nothing younger than it is, but nothing void either. */
static bool is_live(const struct work *work)
{
	return work->entry.text.n > 0 &&
	       work->now_s - work->entry.fetched_s < max_age(&work->entry);
}

static bool has_failed_lately(const struct work *work)
{
	return work->entry.failed_id.n > 0 && span_eq(work->entry.failed_id, work->id) &&
	       work->now_s >= work->entry.failed_s &&
	       work->now_s < sts_entry_next_try(&work->entry);
}

static bool must_fetch(const struct work *work)
{
	return work->id.n > 0 && !has_failed_lately(work) &&
	       (!is_live(work) || !span_eq(work->entry.id, work->id));
}

/* What mail does not wait for: the policy will be there when the one that is kept expires. */
static bool should_refresh(const struct work *work)
{
	int64_t age_s = work->now_s - work->entry.fetched_s;

	return work->id.n > 0 && !has_failed_lately(work) && is_live(work) &&
	       (age_s < 0 || age_s > REFRESH_S || age_s > max_age(&work->entry) / 2);
}

static void load(struct work *work)
{
	work->now_s = clock_wall_now().us / 1000000;
	if (!sts_cache_get(work->domain, &work->wire, &work->entry))
		work->entry = (struct msg_sts_entry){ .domain = work->domain };
}

static void keep(struct work *work)
{
	const struct msg_sts_entry *entry = &work->entry;
	int64_t until_s = entry->text.n > 0 ? entry->fetched_s + max_age(entry) : 0;
	int64_t next_s = sts_entry_next_try(entry);

	/* A while longer than until the next try, which is to know how many there were. */
	if (next_s > 0 && until_s < next_s + FORGET_S)
		until_s = next_s + FORGET_S;
	sts_cache_put(entry, until_s);
}

/* ---- fetching ---- */

static void fail_fetch(struct work *work, enum sts_failure failure, const char *reason)
{
	bool is_again = work->entry.failed_id.n > 0 && span_eq(work->entry.failed_id, work->id);

	work->entry.failures = is_again && work->entry.failures < UINT32_MAX ? work->entry.failures + 1 : 1;
	work->entry.failed_id = work->id;
	work->entry.failed_s = work->now_s;
	work->entry.failure = failure;
	(void)snprintf(work->failed_reason, sizeof(work->failed_reason), "%s", reason);
	work->entry.reason = span_of(work->failed_reason);
	log_warn("cannot fetch the MTA-STS policy of %s: %s", log_clean(work->domain), reason);
}

static enum sts_failure failure_of(enum https_status status)
{
	switch (status) {
	case HTTPS_NO_HOST: return STS_FAILURE_DNS;
	case HTTPS_CERTIFICATE: return STS_FAILURE_WEBPKI;
	case HTTPS_ANSWERED:
	case HTTPS_BAD_URL:
	case HTTPS_NO_SERVER:
	case HTTPS_TOO_LARGE:
	case HTTPS_TIMEOUT: break;
	}
	return STS_FAILURE_FETCH;
}

static void take_policy(struct work *work, const struct https_answer *answer)
{
	struct sts_policy policy;
	const char *reason;

	buf_reset(&work->made);
	(void)buf_add(&work->made, buf_span(&answer->body));
	if (!sts_policy_parse(buf_span(&work->made), &policy, &reason)) {
		fail_fetch(work, STS_FAILURE_INVALID, reason);
		return;
	}
	if (!https_has_type(answer, "text/plain"))
		log_warn("the MTA-STS policy of %s is not text/plain, but %s", log_clean(work->domain),
			 *answer->content_type != '\0' ? answer->content_type : "without a type");
	work->entry = (struct msg_sts_entry){ .domain = work->domain, .id = work->id,
					      .fetched_s = work->now_s, .text = policy.text };
	log_info("MTA-STS policy of %s: id=%.*s, mode=%s, max_age=%u", log_clean(work->domain),
		 SPAN_ARG(work->id), sts_mode_name(policy.mode), policy.max_age_s);
}

/* RFC 8461 3.3: no redirects, and any other code than 200 means that there is none. */
static void fetch(struct work *work)
{
	struct buf url = BUF_INIT(HTTPS_URL_MAX), reason = BUF_INIT(1000);
	struct https_request request = { .limit_bytes = STS_POLICY_MAX,
					 .deadline = clock_in_ms(FETCH_MS) };
	struct https_answer answer;

	(void)buf_printf(&url, "https://mta-sts.%.*s/.well-known/mta-sts.txt",
			 SPAN_ARG(work->domain));
	request.url = buf_span(&url);
	https_do(&request, &answer);
	if (answer.status != HTTPS_ANSWERED) {
		fail_fetch(work, failure_of(answer.status), answer.reason);
	} else if (answer.code != 200) {
		(void)buf_printf(&reason, "the server answers %d", answer.code);
		fail_fetch(work, STS_FAILURE_FETCH, buf_str(&reason));
	} else {
		take_policy(work, &answer);
	}
	keep(work);
	https_answer_done(&answer);
	buf_done(&reason);
	buf_done(&url);
}

/* Fetches it if that is `wanted`, unless another worker has done so meanwhile. */
static void fetch_once(struct work *work, bool (*is_wanted)(const struct work *work))
{
	if (!is_wanted(work) || !lock_take(work->domain, clock_in_ms(FETCH_MS)))
		return;
	load(work);
	if (is_wanted(work))
		fetch(work);
	lock_drop(work->domain);
}

/* ---- the answer ---- */

static struct msg_sts_answer make_answer(const struct work *work)
{
	bool has_failed = work->id.n > 0 && span_eq(work->entry.failed_id, work->id);
	/* What was fetched just now counts, even with max_age 0. */
	bool has_policy = is_live(work) ||
			  (work->entry.text.n > 0 && work->entry.fetched_s == work->now_s);
	struct msg_sts_answer answer = { .has_policy = has_policy,
					 .failure = work->failure,
					 .reason = span_of(work->reason) };

	if (has_policy) {
		answer.id = work->entry.id;
		answer.text = work->entry.text;
	}
	if (has_failed) {
		answer.failure = work->entry.failure;
		answer.reason = work->entry.reason;
	}
	return answer;
}

/* Who asks would not wait as long for a service that may not even run. */
static bool announce(struct ipc_channel *channel, const struct work *work)
{
	struct msg_sts_wait wait = { .timeout_ms = STS_FETCH_MS };

	return !must_fetch(work) ||
	       IPC_SEND(channel, sts_wait, &wait, -1, clock_in_ms(ANSWER_MS)) == IPC_OK;
}

static bool is_domain(struct span domain)
{
	return domain.n > 0 && domain.n <= DOMAIN_NAME_MAX &&
	       domain_check_name(domain, false) == DOMAIN_OK;
}

bool sts_handle(struct ipc_channel *channel, const void *request)
{
	const struct msg_sts_query *query = request;
	struct work work = { .wire = BUF_INIT(STS_ENTRY_MAX), .made = BUF_INIT(STS_POLICY_MAX) };
	char domain[DOMAIN_NAME_MAX + 1];
	struct msg_sts_answer answer;
	bool is_sent;

	if (!is_domain(query->domain))
		return false;
	for (size_t i = 0; i < query->domain.n; i++)
		domain[i] = ascii_lower(query->domain.p[i]);
	work.domain = (struct span){ domain, query->domain.n };
	load(&work);
	find_record(&work);
	is_sent = announce(channel, &work);
	fetch_once(&work, must_fetch);
	answer = make_answer(&work);
	is_sent = is_sent && IPC_SEND(channel, sts_answer, &answer, -1, clock_in_ms(ANSWER_MS)) == IPC_OK;
	fetch_once(&work, should_refresh);
	dns_result_done(&work.record);
	buf_done(&work.wire);
	buf_done(&work.made);
	return is_sent;
}
