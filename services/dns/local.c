/* SPDX-License-Identifier: MIT */
/*
 * Answers without a server: /etc/hosts for those who want it (smtp_host_lookup = native), and
 * localhost for all (RFC 6761 6.3).
 */

#include "dns.h"
#include "mail/domain.h"

struct hosts hosts;

enum { LOCAL_TTL_S = 60 };

static void add(struct dns_reply *reply, struct span name, enum dns_type type, struct span host)
{
	struct msg_dns_record record = { .name = name, .type = type, .ttl_s = LOCAL_TTL_S,
					 .host = host };

	if (reply->count < DNS_RECORDS_MAX && msg_dns_record_encode(&reply->records, &record))
		reply->count++;
}

static void add_address(struct dns_reply *reply, struct span name, enum dns_type type,
			const struct ip_addr *addr)
{
	char text[IP_TEXT_MAX];

	if (addr->family == (type == DNS_A ? IP_V4 : IP_V6))
		add(reply, name, type, ip_text(addr, text));
}

/* "4.3.2.1.in-addr.arpa" to 1.2.3.4, and the like for IPv6; false when it is neither. */
static bool address_of_reverse(struct span name, struct ip_addr *ret)
{
	struct buf again = BUF_INIT(128);
	struct span rest = name;
	bool is_same;

	*ret = (struct ip_addr){ 0 };
	if (span_ends_nocase(name, SPAN(".in-addr.arpa"))) {
		ret->family = IP_V4;
		for (int i = 3; i >= 0; i--) {
			uint64_t byte;

			if (!span_u64(span_word(&rest, "."), 255, &byte))
				return false;
			ret->bytes[i] = (uint8_t)byte;
		}
	} else if (span_ends_nocase(name, SPAN(".ip6.arpa")) && name.n == 72) {
		ret->family = IP_V6;
		for (int i = 0; i < 32; i++) {
			char c = ascii_lower(name.p[2 * i]);
			int digit = ascii_is_digit(c) ? c - '0' : c - 'a' + 10;

			ret->bytes[15 - i / 2] |= (uint8_t)((digit & 15) << (i % 2 * 4));
		}
	} else {
		return false;
	}

	char text[IP_TEXT_MAX];

	/* Only the one way of writing it counts. */
	is_same = dns_reverse_name(ip_text(ret, text), &again) &&
		  span_eq_nocase(buf_span(&again), name);
	buf_done(&again);
	return is_same;
}

static void add_hosts(struct dns_reply *reply, struct span name, enum dns_type type, bool *ret_known)
{
	struct ip_addr addr;

	if (type == DNS_PTR) {
		const char *host = address_of_reverse(name, &addr) ? hosts_name(&hosts, &addr) : NULL;

		if (host != NULL)
			add(reply, name, type, span_of(host));
		return;
	}
	for (const struct hosts_entry *e = hosts_file_find(&hosts, name); e != NULL; e = e->next) {
		add_address(reply, name, type, &e->addr);
		*ret_known = true;
	}
}

struct answer *local_answer(struct span name, enum dns_type type, unsigned flags)
{
	static const struct ip_addr loopback4 = { IP_V4, { 127, 0, 0, 1 } };
	static const struct ip_addr loopback6 = { IP_V6, { [15] = 1 } };
	struct dns_reply reply;
	struct answer *answer = NULL;
	bool is_known = false;

	if (type != DNS_A && type != DNS_AAAA && type != DNS_PTR)
		return NULL;
	dns_reply_init(&reply);
	(void)buf_set(&reply.canonical, name);
	reply.ttl_s = LOCAL_TTL_S;
	if ((flags & DNS_WITH_HOSTS) != 0)
		add_hosts(&reply, name, type, &is_known);
	if (reply.count == 0 && type != DNS_PTR && domain_is_within(name, SPAN("localhost"))) {
		add_address(&reply, name, type, type == DNS_A ? &loopback4 : &loopback6);
		is_known = true;
	}
	/* A name that the file has with the other family only: there is no address to be found. */
	if (reply.count > 0 || is_known)
		answer = answer_new(&reply, false);
	dns_reply_done(&reply);
	return answer;
}
