/* SPDX-License-Identifier: MIT */
/*
 * Asking the dns service; see dns.h. Runs in smtpd, smtp and lmtp. The service is trusted to have
 * checked what it passes on: names are host names, addresses are addresses.
 */

#include "net/dns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "base/mem.h"
#include "ipc/channel.h"
#include "net/dns_memory.h"
#include "proc/service.h"

/* How much longer than the service the asker waits, so that its answer "timeout" gets here. */
enum { GRACE_MS = 500 };

static struct ipc_channel channel = { .fd = -1, .passed_fd = -1 };
static dns_filter_fn *filter; /* NULL: none */
static dns_answer_fn *answerer; /* NULL: the service */

void dns_use_filter(dns_filter_fn *wanted)
{
	filter = wanted;
}

void dns_answer_with(dns_answer_fn *wanted)
{
	answerer = wanted;
}

const char *dns_type_name(enum dns_type type)
{
	switch (type) {
	case DNS_A: return "A";
	case DNS_NS: return "NS";
	case DNS_CNAME: return "CNAME";
	case DNS_PTR: return "PTR";
	case DNS_MX: return "MX";
	case DNS_TXT: return "TXT";
	case DNS_AAAA: return "AAAA";
	case DNS_SRV: return "SRV";
	case DNS_TLSA: return "TLSA";
	}
	return "?";
}

static bool exchange(const struct msg_dns_query *query, struct msg_dns_answer *ret_answer,
		     struct clock_mono deadline)
{
	if (!ipc_is_open(&channel)) {
		int fd = service_connect("dns", deadline);

		if (fd < 0)
			return false;
		ipc_attach(&channel, fd);
	}
	if (IPC_SEND(&channel, dns_query, query, -1, deadline) == IPC_OK &&
	    IPC_EXPECT(&channel, dns_answer, ret_answer, deadline) == IPC_OK)
		return true;
	/* Closed after a timeout as well: an answer that comes late would be taken for the next. */
	ipc_close(&channel);
	return false;
}

/* Again over a new connection when the old one had gone meanwhile: the service was renewed. */
static bool ask_service(const struct msg_dns_query *query, struct msg_dns_answer *ret_answer,
			struct clock_mono deadline)
{
	bool was_open = ipc_is_open(&channel);

	if (answerer != NULL)
		return answerer(query, deadline, ret_answer);
	return exchange(query, ret_answer, deadline) ||
	       (was_open && !clock_is_past(deadline) && exchange(query, ret_answer, deadline));
}

static bool ask(const struct msg_dns_query *query, struct msg_dns_answer *ret_answer,
		struct clock_mono deadline)
{
	if (dns_memory_get(query, ret_answer))
		return true;
	if (!ask_service(query, ret_answer, deadline))
		return false;
	dns_memory_put(query, ret_answer);
	return true;
}

/* Copies the answer out of the channel, whose buffer is used again, into the result's own. */
static bool take_answer(const struct msg_dns_answer *answer, struct dns_result *ret)
{
	struct span rest;

	if (ret->wire.limit_bytes == 0)
		buf_init(&ret->wire, IPC_PACKET_MAX);
	if (ret->records == NULL)
		ret->records = mem_array(DNS_RECORDS_MAX, sizeof(*ret->records));
	(void)buf_set(&ret->wire, answer->records);
	(void)buf_add(&ret->wire, answer->canonical_name);
	rest = span_first(buf_span(&ret->wire), answer->records.n);
	ret->canonical_name = span_from(buf_span(&ret->wire), rest.n);
	ret->rcode = answer->rcode;
	ret->ttl_s = answer->ttl_s;
	ret->is_secure = answer->is_secure;
	while (rest.n > 0) {
		if (ret->count == DNS_RECORDS_MAX ||
		    !msg_dns_record_decode(&rest, &ret->records[ret->count]))
			return false;
		ret->count++;
	}
	return true;
}

static enum dns_status status_of(const struct dns_result *result)
{
	switch (result->rcode) {
	case 0: return result->count > 0 ? DNS_FOUND : DNS_NO_DATA;
	case 3: return DNS_NO_NAME;
	case DNS_FAIL_NAME: return DNS_INVALID;
	default: return DNS_TEMPORARY;
	}
}

static enum dns_status finish(struct dns_result *result, enum dns_status status, struct span name,
			      enum dns_type type)
{
	static const char *const reasons[] = {
		[DNS_FOUND] = "",
		[DNS_NO_NAME] = "Host not found",
		[DNS_NO_DATA] = "Host found but no data record of requested type",
		[DNS_TEMPORARY] = "Host not found, try again",
		[DNS_INVALID] = "Malformed or unexpected name server reply",
	};

	result->status = status;
	result->reason[0] = '\0';
	if (status != DNS_FOUND)
		(void)snprintf(result->reason, sizeof(result->reason),
			       "%sName service error for name=%.*s type=%s: %s",
			       status != DNS_INVALID ? "Host or domain name not found. " : "",
			       SPAN_ARG(span_first(name, 120)), dns_type_name(type), reasons[status]);
	return status;
}

enum dns_status dns_lookup(struct span name, enum dns_type type, unsigned flags,
			   struct clock_mono deadline, struct dns_result *ret)
{
	int wait_ms = clock_poll_ms(deadline);
	struct msg_dns_query query = { .name = name, .type = type, .flags = flags,
				       .timeout_ms = wait_ms < 0 ? 0 : (uint32_t)wait_ms };
	struct msg_dns_answer answer;
	enum dns_status status;
	const char *filtered;

	ret->count = 0;
	ret->rcode = 0;
	ret->ttl_s = 0;
	ret->is_secure = false;
	ret->canonical_name = (struct span){ NULL, 0 };
	if (name.n == 0 || name.n > 255)
		return finish(ret, DNS_INVALID, name, type);
	if (!ask(&query, &answer, clock_add_ms(deadline, GRACE_MS)))
		return finish(ret, DNS_TEMPORARY, name, type);
	if (!take_answer(&answer, ret)) {
		ret->count = 0;
		return finish(ret, DNS_TEMPORARY, name, type);
	}
	status = status_of(ret);
	if (status != DNS_FOUND || filter == NULL || filter(ret, &filtered))
		return finish(ret, status, name, type);
	ret->count = 0;
	ret->status = DNS_TEMPORARY;
	(void)snprintf(ret->reason, sizeof(ret->reason), "Error looking up name=%.*s type=%s: %s",
		       SPAN_ARG(span_first(name, 120)), dns_type_name(type), filtered);
	return DNS_TEMPORARY;
}

void dns_rest(void)
{
	ipc_rest(&channel);
}

void dns_result_done(struct dns_result *result)
{
	free(result->records);
	buf_done(&result->wire);
	*result = (struct dns_result){ 0 };
}

/* in-addr.arpa: RFC 1035 3.5; ip6.arpa: RFC 3596 2.5 */
bool dns_reverse_name(struct span address, struct buf *out)
{
	struct ip_addr addr;

	if (!ip_parse(address, &addr))
		return false;
	if (addr.family == IP_V4)
		return buf_printf(out, "%u.%u.%u.%u.in-addr.arpa", addr.bytes[3], addr.bytes[2],
				  addr.bytes[1], addr.bytes[0]);
	for (int i = 15; i >= 0; i--)
		(void)buf_printf(out, "%x.%x.", addr.bytes[i] & 15u, addr.bytes[i] >> 4);
	return buf_text(out, "ip6.arpa");
}
