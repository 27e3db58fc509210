/* SPDX-License-Identifier: MIT */
/*
 * services/tlsrpt/record.h: an answer of the dns service. The first byte is the rcode as a digit, and behind
 * it are the texts of TXT records, one a line; a line with "-" in front is of another type. Or the first
 * byte is "R", and behind it are records as they go between programs.
 */

#include <stdlib.h>
#include <string.h>

#include "mail/tlsrpt.h"
#include "net/dns.h"
#include "services/tlsrpt/record.h"

enum { WIRE_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct span part, struct span text)
{
	return part.p >= text.p && part.p + part.n <= text.p + text.n;
}

static void try_raw(struct span wire)
{
	struct msg_dns_answer answer = { .records = wire };
	struct span record = { NULL, 0 }, uris;

	if (record_of_answer(&answer, &record) != LOOKUP_WANTED) {
		if (record.p != NULL)
			abort();
		return;
	}
	if (!is_inside(record, wire) || !tlsrpt_record_parse(record, &uris))
		abort();
}

/* Records of the lines in *records, in either order; returns how many of them count. */
static size_t encode(struct span lines, struct buf *records, struct buf *backwards, struct span *ret_last)
{
	struct msg_dns_record list[DNS_RECORDS_MAX];
	struct span line, rest = lines;
	size_t count = 0, counting = 0;

	while (count < DNS_RECORDS_MAX && rest.n > 0) {
		bool is_other = rest.p[0] == '-';

		if (!span_cut(rest, '\n', &line, &rest)) {
			line = rest;
			rest.n = 0;
		}
		list[count++] = (struct msg_dns_record){
			.name = SPAN("_smtp._tls.a.test"), .type = is_other ? DNS_CNAME : DNS_TXT,
			.data = is_other ? span_from(line, 1) : line,
		};
		if (!is_other && tlsrpt_record_counts(line)) {
			counting++;
			*ret_last = line;
		}
	}
	for (size_t i = 0; i < count; i++)
		if (!msg_dns_record_encode(records, &list[i]) ||
		    !msg_dns_record_encode(backwards, &list[count - 1 - i]))
			abort();
	return counting;
}

/* One that counts and is well-formed: no other makes it go away, whatever the order. */
static void try_lines(uint32_t rcode, struct span lines)
{
	struct buf wire = BUF_INIT(WIRE_MAX), backwards = BUF_INIT(WIRE_MAX);
	struct span last = { NULL, 0 }, uris, record, again;
	bool is_wanted = encode(lines, &wire, &backwards, &last) == 1 &&
			 tlsrpt_record_parse(last, &uris);
	struct msg_dns_answer answer = { .rcode = rcode, .records = buf_span(&wire) };
	struct msg_dns_answer other = { .rcode = rcode, .records = buf_span(&backwards) };
	enum lookup_result result = record_of_answer(&answer, &record);

	if (record_of_answer(&other, &again) != result)
		abort();
	if (rcode != 0) {
		if (result != (rcode == 3 ? LOOKUP_UNWANTED : LOOKUP_FAILED))
			abort();
	} else if (result != (is_wanted ? LOOKUP_WANTED : LOOKUP_UNWANTED)) {
		abort();
	}
	if (result == LOOKUP_WANTED && (!span_eq(record, last) || !span_eq(again, last)))
		abort();
	buf_done(&wire);
	buf_done(&backwards);
}

static void try_name(struct span domain)
{
	struct buf name = BUF_INIT(512);

	record_name(domain, &name);
	if (name.length != strlen("_smtp._tls.") + domain.n || !span_ends(buf_span(&name), domain))
		abort();
	buf_done(&name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };

	if (size == 0 || size > 60000)
		return 0;
	text = span_from(text, 1);
	if (data[0] == 'R')
		try_raw(text);
	else
		try_lines(data[0] >= '0' && data[0] <= '9' ? data[0] - (uint32_t)'0' : DNS_FAIL_SERVER,
			  text);
	if (!span_has(text, '\0'))
		try_name(span_first(text, text.n < 256 ? text.n : 256));
	return 0;
}
