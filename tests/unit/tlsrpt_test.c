/* SPDX-License-Identifier: MIT */
/* lib/mail/tlsrpt.h: TXT records; services/tlsrpt/sums.h: limits, and what is read of a file. */

#include "test.h"

#include "mail/tlsrpt.h"
#include "net/dns.h"
#include "services/tlsrpt/record.h"
#include "services/tlsrpt/sums.h"

static void test_records(void)
{
	static const struct {
		const char *record, *uris; /* NULL: not well-formed */
	} cases[] = {
		{ "v=TLSRPTv1; rua=mailto:a@b.test", "mailto:a@b.test" },
		{ "v=TLSRPTv1;rua=mailto:a@b.test;", "mailto:a@b.test" },
		{ "v=TLSRPTv1 \t; x=y; rua=https://b.test/ , mailto:a@b.test ; ",
		  "https://b.test/ , mailto:a@b.test" },
		{ "v=TLSRPTv1; rua=mailto:a@b.test; rua=mailto:c@d.test", "mailto:a@b.test" },
		{ "v=TLSRPTv1; rua=", NULL },
		{ "v=TLSRPTv1; RUA=mailto:a@b.test", NULL },
		{ "v=TLSRPTv1; rua=mailto:a\x01@b.test", NULL },
		{ "v=TLSRPTv1; rua=mailto:a@b.test;; x=y", NULL },
		{ "v=TLSRPTv1; rua=mailto:a@b.test; =y", NULL },
		{ "v=TLSRPTv1; rua=mailto:a@b.test; a/b=y", NULL },
		{ "v=TLSRPTv1; rua=mailto:a@b.test; -x=y", NULL },
		{ "v=TLSRPTv1", NULL },
		{ "v=TLSRPTv1;", NULL },
		{ "v=TLSRPTv2; rua=mailto:a@b.test", NULL },
		{ "v=TLSRPTv11; rua=mailto:a@b.test", NULL },
		{ " v=TLSRPTv1; rua=mailto:a@b.test", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct span uris = { NULL, 0 };
		bool is_good = tlsrpt_record_parse(span_of(cases[i].record), &uris);

		CHECK_STR(is_good ? "good" : cases[i].record,
			  cases[i].uris != NULL ? "good" : cases[i].record);
		if (is_good && cases[i].uris != NULL)
			CHECK_SPAN(span_trim(uris), cases[i].uris);
	}
}

static void test_uris(void)
{
	static const struct {
		const char *uri;
		enum tlsrpt_uri_kind kind;
		const char *target;
	} cases[] = {
		{ "mailto:a@b.test", TLSRPT_URI_MAILTO, "a@b.test" },
		{ "MAILTO:a%2Bb%40b.test?subject=x", TLSRPT_URI_MAILTO, "a+b@b.test" },
		{ "mailto:a%2", TLSRPT_URI_OTHER, NULL },
		{ "mailto:a%zz@b.test", TLSRPT_URI_OTHER, NULL },
		{ "mailto:a%0a@b.test", TLSRPT_URI_OTHER, NULL },
		{ "mailto:a%00@b.test", TLSRPT_URI_OTHER, NULL },
		{ "mailto:a%20b@b.test", TLSRPT_URI_OTHER, NULL },
		{ "mailto:\"a\"@b.test", TLSRPT_URI_OTHER, NULL },
		{ "mailto:a@[192.0.2.1]", TLSRPT_URI_OTHER, NULL },
		{ "mailto:@b.test", TLSRPT_URI_OTHER, NULL },
		{ "mailto:a", TLSRPT_URI_OTHER, NULL },
		{ "mailto:", TLSRPT_URI_OTHER, NULL },
		{ "https://b.test/x?y", TLSRPT_URI_HTTPS, "https://b.test/x?y" },
		{ "https://", TLSRPT_URI_OTHER, NULL },
		{ "https://b.test/ x", TLSRPT_URI_OTHER, NULL },
		{ "http://b.test/", TLSRPT_URI_OTHER, NULL },
		{ "file:///etc/passwd", TLSRPT_URI_OTHER, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf target = BUF_INIT(TLSRPT_URI_MAX);
		struct span rest = span_of(cases[i].uri);
		enum tlsrpt_uri_kind kind;

		CHECK(tlsrpt_next_uri(&rest, &kind, &target));
		CHECK_INT(kind, cases[i].kind);
		if (cases[i].target != NULL)
			CHECK_STR(buf_str(&target), cases[i].target);
		CHECK(!tlsrpt_next_uri(&rest, &kind, &target));
		buf_done(&target);
	}
}

static struct msg_tlsrpt_note failure_at(const char *host)
{
	return (struct msg_tlsrpt_note){ .policy_type = TLSRPT_NO_POLICY,
					 .policy_domain = SPAN("a.test"),
					 .failure = TLSRPT_CERTIFICATE_EXPIRED,
					 .mx_host = span_of(host) };
}

/* Behind the limit of kinds, failures are counted by type; without room the sum of them alone. */
static void test_limits(void)
{
	struct sums sums = { 0 };
	uint64_t successes, failures;
	struct msg_tlsrpt_note note;
	char name[32];

	for (int i = 0; i < SUMS_DETAILS_MAX + 10; i++) {
		(void)snprintf(name, sizeof(name), "mx%d.a.test", i);
		note = failure_at(name);
		CHECK(sums_add(&sums, &note, true));
	}
	CHECK_INT(sums.count, 1);
	CHECK_INT(sums.policies[0].detail_count, SUMS_DETAILS_MAX + 1);
	CHECK_INT((int)sums.policies[0].details[SUMS_DETAILS_MAX].count, 10);
	note.policy_domain = SPAN("b.test");
	CHECK(!sums_add(&sums, &note, false));
	for (int i = 0; i < SUMS_POLICIES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "p%d.test", i);
		note.policy_domain = span_of(name);
		CHECK(sums_add(&sums, &note, true) == (i + 1 < SUMS_POLICIES_MAX));
	}
	sums_totals(&sums, &successes, &failures);
	CHECK_INT((int)failures, SUMS_DETAILS_MAX + 10 + SUMS_POLICIES_MAX - 1);
	sums_done(&sums);
}

static void test_files(void)
{
	struct msg_tlsrpt_period period = { .domain = SPAN("a.test"), .begin_s = 7 }, read;
	struct msg_tlsrpt_note note = failure_at("mx.a.test");
	struct sums sums = { 0 }, again;
	struct buf wire = BUF_INIT(100000);

	CHECK(sums_add(&sums, &note, true));
	note.failure = TLSRPT_SUCCESS;
	CHECK(sums_add(&sums, &note, true));
	CHECK(sums_encode(&period, &sums, &wire));
	CHECK(sums_decode(buf_span(&wire), &read, &again));
	CHECK_SPAN(read.domain, "a.test");
	CHECK_INT(again.count, 1);
	CHECK_INT((int)again.policies[0].successes, 1);
	CHECK_INT((int)again.policies[0].details[0].count, 1);
	sums_done(&again);
	/* Any part of it that ends elsewhere than between records is damaged. */
	for (size_t i = 0; i < wire.length; i++)
		if (sums_decode(span_first(buf_span(&wire), i), &read, &again))
			sums_done(&again);
		else
			CHECK(again.policies == NULL);
	period.domain = SPAN("../x");
	buf_reset(&wire);
	CHECK(sums_encode(&period, &sums, &wire));
	CHECK(!sums_decode(buf_span(&wire), &read, &again));
	buf_done(&wire);
	sums_done(&sums);
}

static enum lookup_result looked_up(uint32_t rcode, const char *first, const char *second, size_t cut)
{
	struct msg_dns_record record = { .type = DNS_TXT };
	struct buf wire = BUF_INIT(10000);
	struct msg_dns_answer answer = { .rcode = rcode };
	struct span found = { NULL, 0 };
	enum lookup_result result;

	record.data = span_of(first);
	CHECK(msg_dns_record_encode(&wire, &record));
	record.data = span_of(second);
	CHECK(msg_dns_record_encode(&wire, &record));
	answer.records = span_first(buf_span(&wire), wire.length - cut);
	result = record_of_answer(&answer, &found);
	if (result == LOOKUP_WANTED)
		CHECK_SPAN(found, first);
	else
		CHECK(found.p == NULL);
	buf_done(&wire);
	return result;
}

/* What cannot be read whole is no answer: a second record may be in the rest. */
static void test_answers(void)
{
	const char *good = "v=TLSRPTv1; rua=mailto:r@a.test";

	CHECK(looked_up(0, good, "v=spf1 -all", 0) == LOOKUP_WANTED);
	CHECK(looked_up(0, good, good, 0) == LOOKUP_UNWANTED);
	CHECK(looked_up(0, "v=TLSRPTv1; rua", "", 0) == LOOKUP_UNWANTED);
	CHECK(looked_up(0, good, good, 1) == LOOKUP_FAILED);
	CHECK(looked_up(2, good, "", 0) == LOOKUP_FAILED);
	CHECK(looked_up(DNS_FAIL_TIMEOUT, good, "", 0) == LOOKUP_FAILED);
	CHECK(looked_up(3, good, "", 0) == LOOKUP_UNWANTED);
}

int main(void)
{
	TEST(records);
	TEST(uris);
	TEST(answers);
	TEST(limits);
	TEST(files);
	return test_end();
}
