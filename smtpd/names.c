/* SPDX-License-Identifier: MIT */
/* Asking the DNS whether a domain can receive mail: RFC 5321 5.1, RFC 7505. */

#include "smtpd/names.h"

#include "base/log.h"
#include "net/dns.h"

enum { LOOKUP_MS = 30000 };

static enum dns_status find(struct span name, enum dns_type type, struct dns_result *result)
{
	return dns_lookup(name, type, 0, clock_in_ms(LOOKUP_MS), result);
}

enum name_result name_can_receive(struct span domain)
{
	static const enum dns_type types[] = { DNS_MX, DNS_A, DNS_AAAA };
	struct dns_result result = { 0 };
	enum name_result answer = NAME_UNKNOWN;

	for (size_t i = 0; answer == NAME_UNKNOWN && i < ARRAY_LEN(types); i++) {
		enum dns_status status = find(domain, types[i], &result);

		if (status == DNS_FOUND)
			answer = types[i] == DNS_MX && result.count == 1 &&
						 (result.records[0].host.n == 0 ||
						  span_is(result.records[0].host, "."))
					 ? NAME_NULL_MX
					 : NAME_RECEIVES;
		else if (status == DNS_TEMPORARY)
			answer = result.rcode == DNS_FAIL_FILTER ? NAME_RECEIVES : NAME_TEMPORARY;
		else if (status == DNS_NO_NAME || status == DNS_INVALID)
			break;
	}
	if (result.rcode == DNS_FAIL_FILTER)
		log_warn("%s: MX or address lookup error: DNS reply filter drops all results",
			 log_clean(domain));
	dns_result_done(&result);
	return answer;
}
