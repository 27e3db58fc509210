/* SPDX-License-Identifier: MIT */
#ifndef NET_DNS_H
#define NET_DNS_H

/*
 * Asking the dns service (dns(8)): the only way to the DNS for programs in a jail. One
 * connection a process, opened at the first question; a service that does not answer in time is
 * a temporary failure.
 */

#include "base/clock.h"
#include "ipc/messages.h"

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_TLSA = 52,
};

enum dns_flag {
	DNS_WITH_HOSTS = 1 << 0, /* /etc/hosts first, for A, AAAA and PTR (smtp_host_lookup native) */
	DNS_WANT_SECURE = 1 << 1, /* DNSSEC: say whether the answer was validated */
};

enum dns_status {
	DNS_FOUND,
	DNS_NO_NAME,   /* NXDOMAIN */
	DNS_NO_DATA,   /* the name is there, records of that type are not */
	DNS_TEMPORARY, /* SERVFAIL, REFUSED, timeout, no service */
	DNS_INVALID,   /* no name to ask for, or the answer was none to believe */
};

/*
 * What rcode is beyond the protocol's own. A filter alone says the last two, of a result: it has left
 * nothing, or it could not be asked.
 */
enum dns_failure {
	DNS_FAIL_TIMEOUT = 65536,
	DNS_FAIL_SERVER,
	DNS_FAIL_NAME,
	DNS_FAIL_FILTER,
	DNS_FAIL_FILTER_TABLE,
};

enum { DNS_RECORDS_MAX = 100 };

struct dns_result {
	enum dns_status status;
	uint32_t rcode;
	uint32_t ttl_s;
	bool is_secure;
	struct span canonical_name; /* end of the CNAME chain, or the name asked for */
	struct msg_dns_record *records;
	size_t count; /* at most DNS_RECORDS_MAX */
	struct buf wire; /* what the spans point into */
	char reason[256]; /* for logs and bounces: "Host or domain name not found. Name service
			     error for name=x type=MX: Host not found" */
};

/*
 * Looks `name` up. *ret is zeroed before its first use, is overwritten at each, and freed by
 * dns_result_done(). The same status is returned and stored.
 */
enum dns_status dns_lookup(struct span name, enum dns_type type, unsigned flags,
			   struct clock_mono deadline, struct dns_result *ret);
/* Frees what was needed for questions, until the next one. Results stay as they are. */
void dns_rest(void);
void dns_result_done(struct dns_result *result);

/* What sees each successful result before the asker does; see net/dns_filter.h. */
typedef bool dns_filter_fn(struct dns_result *result, const char **ret_reason);
void dns_use_filter(dns_filter_fn *filter);

/*
 * Who answers in place of the service: for commands, which run outside of the jails and before there is
 * a service. The answer's texts hold until the next question. False: no answer, try again later.
 */
typedef bool dns_answer_fn(const struct msg_dns_query *query, struct clock_mono deadline,
			   struct msg_dns_answer *ret_answer);
void dns_answer_with(dns_answer_fn *answerer);

/* "MX", "AAAA" and so on. */
const char *dns_type_name(enum dns_type type);

/* The name to ask for PTR records of a numeric address; false when it is none. */
MUST_USE bool dns_reverse_name(struct span address, struct buf *out);

#endif
