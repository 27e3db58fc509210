/* SPDX-License-Identifier: MIT */
/*
 * TLSA records of a host (RFC 7672, 6698, 7671). Only what the resolver has validated counts, which the
 * dns service says; postconf(5) smtp_tls_security_level, smtp_tls_dane_insecure_mx_policy.
 */

#include "tls.h"

#include <string.h>

#include "base/log.h"
#include "base/words.h"
#include "conf/conf.h"
#include "net/dns.h"

enum { LOOKUP_TIMEOUT_MS = 120 * 1000, DANE_TA = 2, DANE_EE = 3 };

enum trouble {
	TROUBLE_CONFIGURATION, /* DANE cannot work here */
	TROUBLE_DESTINATION,   /* it has no DANE */
	TROUBLE_RECORDS,       /* it has, of a kind that nobody understands */
};

/* Level dane makes do with less; dane-only does not. */
static bool lower(struct transfer *transfer, struct policy *policy, enum trouble trouble,
		  const char *what)
{
	if (trouble == TROUBLE_CONFIGURATION)
		log_warn("TLS level %s: %s",
			 policy->level == LEVEL_DANE ? "dane" : "dane-only", what);
	if (policy->level != LEVEL_DANE) {
		why_set(&transfer->why, "4.7.5", "%s",
			trouble == TROUBLE_CONFIGURATION ? "client TLS configuration problem"
							 : what);
		return false;
	}
	policy->level = trouble == TROUBLE_RECORDS ? LEVEL_ENCRYPT : LEVEL_MAY;
	return true;
}

/* DANE-TA and DANE-EE (RFC 7672 3.1) with a digest of tls_dane_digests, or none. */
static bool is_usable(const struct tls_dane *record)
{
	return (record->usage == DANE_TA || record->usage == DANE_EE) && record->selector <= 1 &&
	       record->data.n > 0 &&
	       (record->matching == 0 ||
		record->data.n == tls_dane_digest_bytes(record->matching));
}

enum found { FOUND_USABLE, FOUND_UNUSABLE, FOUND_NONE, FOUND_TROUBLE };

static void take_records(struct arena *arena, const struct dns_result *result,
			 struct policy *policy)
{
	struct tls_dane *records =
		arena_alloc(arena, (result->count + 1) * sizeof(struct tls_dane));

	policy->dane_count = 0;
	for (size_t i = 0; i < result->count; i++) {
		struct span data = result->records[i].data;
		struct tls_dane record;

		if (data.n < 4)
			continue;
		record = (struct tls_dane){ .usage = (uint8_t)data.p[0],
					    .selector = (uint8_t)data.p[1],
					    .matching = (uint8_t)data.p[2],
					    .data = arena_span(arena, span_from(data, 3)) };
		if (is_usable(&record))
			records[policy->dane_count++] = record;
	}
	policy->dane = records;
}

static enum found look_up(struct arena *arena, struct span base, uint16_t port,
			  struct policy *policy)
{
	struct dns_result result = { 0 };
	struct buf name = BUF_INIT(512);
	enum found found = FOUND_NONE;

	(void)buf_printf(&name, "_%u._tcp.%.*s", port, SPAN_ARG(base));
	switch (dns_lookup(buf_span(&name), DNS_TLSA, DNS_WANT_SECURE,
			   clock_in_ms(LOOKUP_TIMEOUT_MS), &result)) {
	case DNS_FOUND:
		if (!result.is_secure)
			break;
		take_records(arena, &result, policy);
		report_dane(arena, base, &result, policy);
		policy->dane_name = arena_str(arena, base);
		found = policy->dane_count > 0 ? FOUND_USABLE : FOUND_UNUSABLE;
		break;
	case DNS_NO_NAME:
	case DNS_NO_DATA: break;
	case DNS_TEMPORARY:
	case DNS_INVALID: found = FOUND_TROUBLE; break;
	}
	dns_result_done(&result);
	buf_done(&name);
	return found;
}

/*
 * RFC 7672 2.2.2: an alias that leads to where there is no DNSSEC may itself be in a signed zone, and then
 * has records of its own. FOUND_USABLE: it is; FOUND_TROUBLE: nobody knows.
 */
static enum found find_secure_alias(const struct host *host)
{
	struct dns_result result = { 0 };
	enum dns_status status = dns_lookup(host->asked, DNS_CNAME, DNS_WANT_SECURE,
					    clock_in_ms(LOOKUP_TIMEOUT_MS), &result);
	bool is_secure = result.is_secure;

	dns_result_done(&result);
	if (status == DNS_TEMPORARY || status == DNS_INVALID)
		return FOUND_TROUBLE;
	return status == DNS_FOUND && is_secure ? FOUND_USABLE : FOUND_NONE;
}

/* RFC 7672 2.2.3: at the end of a CNAME chain first, then at the name as it was. */
static enum found find_records(struct arena *arena, const struct host *host,
			       struct policy *policy)
{
	bool is_alias = host->canonical.n > 0 && !span_eq_nocase(host->canonical, host->asked);
	enum found found = FOUND_NONE;

	if (!host->is_secure && !conf->smtp_tls_force_insecure_host_tlsa_lookup) {
		found = is_alias ? find_secure_alias(host) : FOUND_NONE;
		return found == FOUND_USABLE ? look_up(arena, host->asked, host->port, policy)
					     : found;
	}
	if (host->is_secure && is_alias)
		found = look_up(arena, host->canonical, host->port, policy);
	if (found == FOUND_NONE)
		found = look_up(arena, host->asked, host->port, policy);
	return found;
}

/* Why this client cannot do DANE at all; NULL: it can. */
static const char *misconfiguration(struct arena *arena)
{
	struct buf error = BUF_INIT(1000);
	const char *problem = NULL;

	if (strcmp(conf->smtp_dns_support_level, "dnssec") != 0 ||
	    !words_have(span_of(conf->smtp_host_lookup), SPAN("dns")))
		return "dns resolver options incompatible with dane TLS: it needs "
		       "smtp_dns_support_level = dnssec and smtp_host_lookup = dns";
	/* Then nobody knows whether the hosts are those of the domain. */
	if (!is_lmtp && conf->ignore_mx_lookup_error)
		return "dns resolver options incompatible with dane TLS: "
		       "ignore_mx_lookup_error = yes";
	if (!tls_dane_digests_check(&error))
		problem = arena_str(arena, span_of(log_clean(buf_span(&error))));
	buf_done(&error);
	return problem;
}

/* MX records that anybody may have forged prove nothing of the domain. */
static void lower_for_mx(const struct host *host, struct policy *policy)
{
	if (!host->is_mx_insecure)
		return;
	policy->level = LEVEL_HALF_DANE;
	if (strcmp(conf->smtp_tls_dane_insecure_mx_policy, "encrypt") == 0) {
		policy->level = LEVEL_ENCRYPT;
		policy->dane_name = NULL;
	}
}

/* The destination has no DANE, where only dane-only minds. */
static bool lack_dane(struct transfer *transfer, const struct host *host, struct policy *policy,
		      const char *what)
{
	if (policy->level == LEVEL_DANE_ONLY)
		report_policy_failure(policy, TLSRPT_TLSA, host->name, TLSRPT_DANE_REQUIRED, what);
	return lower(transfer, policy, TROUBLE_DESTINATION, what);
}

bool dane_apply(struct transfer *transfer, const struct target *target, const struct host *host,
		struct policy *policy)
{
	struct arena *arena = &transfer->delivery->arena;
	const char *trouble = misconfiguration(arena);

	if (host == NULL)
		trouble = "the \"dane\" security level is invalid for delivery via unix-domain "
			  "sockets";
	if (trouble != NULL)
		return lower(transfer, policy, TROUBLE_CONFIGURATION, trouble);
	if (host->is_mx_insecure &&
	    (policy->level == LEVEL_DANE_ONLY ||
	     strcmp(conf->smtp_tls_dane_insecure_mx_policy, "may") == 0))
		return lack_dane(transfer, host, policy, "non DNSSEC destination");
	switch (find_records(arena, host, policy)) {
	case FOUND_TROUBLE:
		report_policy_failure(policy, TLSRPT_TLSA, host->name, TLSRPT_DNSSEC_INVALID,
			       "TLSA lookup error");
		why_set(&transfer->why, "4.7.5", "TLSA lookup error for %.*s:%u",
			SPAN_ARG(host->name), host->port);
		return false;
	case FOUND_NONE: return lack_dane(transfer, host, policy, "no TLSA records found");
	case FOUND_UNUSABLE:
		policy->dane_name = NULL;
		report_policy_failure(policy, TLSRPT_TLSA, host->name, TLSRPT_TLSA_INVALID,
			       "TLSA records unusable");
		return lower(transfer, policy, TROUBLE_RECORDS, "TLSA records unusable");
	case FOUND_USABLE: break;
	}
	/* RFC 7672 3.2.2: a DANE-TA certificate may also have the name of the domain. */
	if (!host->is_mx_insecure)
		policy->dane_domain = arena_str(arena, target->host);
	lower_for_mx(host, policy);
	return true;
}
