/* SPDX-License-Identifier: MIT */
/*
 * Whether the resolver validates at all; postconf(5) dnssec_probe. DANE without that is none, and
 * nobody would notice. Runs in the worker that got an answer without DNSSEC.
 */

#include <strings.h>

#include "base/log.h"
#include "conf/conf.h"
#include "net/dns.h"
#include "proc/seldom.h"
#include "smtp/smtp.h"

enum { PROBE_MS = 10 * 1000 };

static struct {
	struct span name; /* empty: no probe */
	enum dns_type type;
	struct seldom *due;
} self;

static bool find_type(struct span text, enum dns_type *ret)
{
	static const enum dns_type types[] = { DNS_A,   DNS_NS,   DNS_CNAME, DNS_PTR, DNS_MX,
					       DNS_TXT, DNS_AAAA, DNS_SRV,   DNS_TLSA };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		*ret = types[i];
		if (span_is_nocase(text, dns_type_name(types[i])))
			return true;
	}
	return false;
}

void dnssec_prepare(void)
{
	struct span type;

	self.due = seldom_new(1);
	if (*conf->dnssec_probe == '\0')
		return;
	if (!span_cut(span_of(conf->dnssec_probe), ':', &type, &self.name) || self.name.n == 0 ||
	    !find_type(type, &self.type)) {
		log_warn("dnssec_probe: expected type:name in place of \"%s\"", conf->dnssec_probe);
		self.name = (struct span){ NULL, 0 };
	}
}

void dnssec_note(const struct dns_result *result)
{
	struct dns_result probe = { 0 };

	if (result->is_secure || self.name.n == 0 || !seldom_is_due(self.due, 0))
		return;
	(void)dns_lookup(self.name, self.type, DNS_WANT_SECURE, clock_in_ms(PROBE_MS), &probe);
	if (probe.status == DNS_TEMPORARY || probe.status == DNS_INVALID || !probe.is_secure)
		log_warn("DNSSEC validation may be unavailable");
	if (probe.status == DNS_TEMPORARY || probe.status == DNS_INVALID)
		log_warn("reason: dnssec_probe '%s' received no response: %s", conf->dnssec_probe,
			 log_clean(span_of(probe.reason)));
	else if (!probe.is_secure)
		log_warn("reason: dnssec_probe '%s' received a response that is not DNSSEC validated",
			 conf->dnssec_probe);
	dns_result_done(&probe);
}
