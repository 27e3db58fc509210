/* SPDX-License-Identifier: MIT */
#ifndef NET_DNS_WIRE_H
#define NET_DNS_WIRE_H

/*
 * DNS packets (RFC 1035 4): making a question, and reading a reply without believing any of it.
 * Pure; used by the dns service alone.
 */

#include "base/buf.h"
#include "net/dns.h"

enum {
	DNS_CHAIN_MAX = 10,      /* CNAME records followed */
	DNS_SCAN_MAX = 1000,     /* records looked at in a section */
	DNS_EDNS_BYTES = 1232,   /* UDP answers up to this size, so that none is fragmented */
	DNS_RECORDS_BYTES = 98304, /* of dns_answer */
};

/*
 * Appends a question for `name`, with RD and AD (RFC 6840 5.7) and an EDNS0 record (RFC 6891)
 * at its end. "." is the root. False when it is no name that can be asked: empty labels, labels over 63 bytes,
 * more than 255 in all, bytes that are not visible ASCII.
 */
MUST_USE bool dns_wire_question(struct buf *out, struct span name, enum dns_type type, uint16_t id);

/* What a reply says of one name and type. */
struct dns_reply {
	uint32_t rcode;      /* of the protocol; DNS_FAIL_NAME: all records had impossible names */
	bool has_ad;
	bool is_cut;         /* there were more than DNS_RECORDS_MAX, or than fit an answer */
	bool is_open_chain;  /* the chain of CNAMEs ends at a name that the reply says nothing of */
	unsigned chain;      /* CNAMEs followed */
	uint32_t ttl_s;      /* the least of what was used; for negative replies from the SOA, else 0 */
	size_t count;
	struct buf canonical; /* the name at the end of the chain */
	struct buf records;  /* encoded msg_dns_record, one after the other */
};

void dns_reply_init(struct dns_reply *reply);
void dns_reply_done(struct dns_reply *reply);

/*
 * Reads the reply to a question for `name` (case does not matter) and `type`. Records of other
 * names, classes and types are passed over, and so are those whose host name is none by
 * domain_check_name(). False when the packet is malformed where it was looked at, or no reply.
 * The host of an MX or SRV record that is "." is empty (RFC 7505).
 */
MUST_USE bool dns_reply_parse(struct span packet, struct span name, enum dns_type type,
			      struct dns_reply *reply);

#endif
