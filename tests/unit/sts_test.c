/* SPDX-License-Identifier: MIT */
/* lib/mail/sts.h: TXT records, policies and patterns of MTA-STS. */

#include "test.h"

#include "mail/sts.h"

static void test_records(void)
{
	static const struct {
		const char *record, *id; /* NULL: not well-formed */
	} cases[] = {
		{ "v=STSv1; id=20160831085700Z;", "20160831085700Z" },
		{ "v=STSv1;id=1", "1" },
		{ "v=STSv1;\t id=1 \t;  ", "1" },
		{ "v=STSv1; x=y; id=1; z_1.-=!:~<", "1" },
		{ "v=STSv1; id=1; id=2", "1" },
		{ "v=STSv1; id=abcdefghijklmnopqrstuvwxyz012345", "abcdefghijklmnopqrstuvwxyz012345" },
		{ "v=STSv1; id=abcdefghijklmnopqrstuvwxyz0123456", NULL },
		{ "v=STSv1; id=", NULL },
		{ "v=STSv1; id=1-2", NULL },
		{ "v=STSv1; id =1", NULL },
		{ "v=STSv1; id= 1", NULL },
		{ "v=STSv1; ID=1", NULL },
		{ "v=STSv1;; id=1", NULL },
		{ "v=STSv1; ; id=1", NULL },
		{ "v=STSv1; id=1;;", NULL },
		{ "v=STSv1; id=1; x", NULL },
		{ "v=STSv1; id=1; x=", NULL },
		{ "v=STSv1; id=1; x=a=b", NULL },
		{ "v=STSv1; id=1; x=a b", NULL },
		{ "v=STSv1; id=1; _x=a", NULL },
		{ "v=STSv1; id=1; x=\x80", NULL },
		{ "v=STSv1; id=1\n", NULL },
		{ "v=STSv1;", NULL },
		{ "v=STSv1", NULL },
		{ "v=STSv2; id=1", NULL },
		{ "V=STSv1; id=1", NULL },
		{ " v=STSv1; id=1", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct span id;
		bool is_good = sts_record_parse(span_of(cases[i].record), &id);

		CHECK_STR(is_good ? "good" : cases[i].record,
			  cases[i].id != NULL ? "good" : cases[i].record);
		if (is_good && cases[i].id != NULL)
			CHECK_SPAN(id, cases[i].id);
	}
	CHECK(sts_record_counts(SPAN("v=STSv1;")));
	CHECK(!sts_record_counts(SPAN("v=STSv1 ; id=1")));
	CHECK(!sts_record_counts(SPAN("v=STSv10; id=1")));
}

#define HEAD "version: STSv1\nmode: enforce\n"

static void test_policies(void)
{
	static const struct {
		const char *text;
		const char *reason; /* NULL: good */
		enum sts_mode mode;
		uint32_t max_age_s;
		size_t mx_count;
	} cases[] = {
		{ HEAD "mx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\n"
		  "max_age: 604800\n", NULL, STS_MODE_ENFORCE, 604800, 3 },
		{ "version: STSv1\r\nmode: testing\r\nmx: a.b\r\nmax_age: 1", NULL,
		  STS_MODE_TESTING, 1, 1 },
		{ "version:STSv1\nmode:none\nmax_age:86400", NULL, STS_MODE_NONE, 86400, 0 },
		{ "max_age: 7\nmx: a.b\nmode: enforce\nversion: STSv1\n\n", NULL, STS_MODE_ENFORCE,
		  7, 1 },
		{ HEAD "mode: none\nmx: a.b \t\nmax_age: 1\nmax_age: x\nversion: 9\n", NULL,
		  STS_MODE_ENFORCE, 1, 1 },
		{ HEAD "mx: a.b\nmax_age: 9999999999", NULL, STS_MODE_ENFORCE, STS_AGE_MAX_S, 1 },
		{ HEAD "mx: a.b\nmax_age: 1\nfoo: bar \xc3\xa9 : z\n", NULL, STS_MODE_ENFORCE, 1, 1 },
		{ HEAD "mx: a.b\nmax_age: 0", NULL, STS_MODE_ENFORCE, 0, 1 },
		{ "", "no version", 0, 0, 0 },
		{ "mode: enforce\nmx: a.b\nmax_age: 1", "no version", 0, 0, 0 },
		{ "version: STSv2\nmode: enforce\nmx: a.b\nmax_age: 1", "unknown version", 0, 0, 0 },
		{ "version: STSv1\nmx: a.b\nmax_age: 1", "no mode", 0, 0, 0 },
		{ "version: STSv1\nmode: Enforce\nmx: a.b\nmax_age: 1", "unknown mode", 0, 0, 0 },
		{ HEAD "mx: a.b", "no max_age", 0, 0, 0 },
		{ HEAD "mx: a.b\nmax_age: 10000000000", "max_age is no number of seconds", 0, 0, 0 },
		{ HEAD "mx: a.b\nmax_age: -1", "max_age is no number of seconds", 0, 0, 0 },
		{ HEAD "mx: a.b\nmax_age:", "max_age is no number of seconds", 0, 0, 0 },
		{ HEAD "max_age: 1", "no mx", 0, 0, 0 },
		{ HEAD "mx: *\nmax_age: 1", "mx is no host name or pattern", 0, 0, 0 },
		{ HEAD "mx: *.*.b\nmax_age: 1", "mx is no host name or pattern", 0, 0, 0 },
		{ HEAD "mx: mail.*.b\nmax_age: 1", "mx is no host name or pattern", 0, 0, 0 },
		{ HEAD "mx: .b\nmax_age: 1", "mx is no host name or pattern", 0, 0, 0 },
		{ HEAD "mx: a.b c\nmax_age: 1", "mx is no host name or pattern", 0, 0, 0 },
		{ HEAD "mx:\nmax_age: 1", "mx is no host name or pattern", 0, 0, 0 },
		{ HEAD "mx: a.b\nmax_age: 1\nfoo", "a line is not \"name: value\"", 0, 0, 0 },
		{ HEAD "mx: a.b\nmax_age: 1\nfoo : b", "a line is not \"name: value\"", 0, 0, 0 },
		{ HEAD "mx: a.b\nmax_age: 1\n<html>", "a line is not \"name: value\"", 0, 0, 0 },
		{ HEAD "mx: a.b\nmax_age: 1\nfoo: \x01",
		  "a field has no value, or control characters", 0, 0, 0 },
		{ HEAD "mx: a.b\nmax_age: 1\nfoo:", "a field has no value, or control characters", 0,
		  0, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sts_policy policy = { 0 };
		const char *reason = NULL;
		bool is_good = sts_policy_parse(span_of(cases[i].text), &policy, &reason);

		CHECK_STR(is_good ? NULL : reason, cases[i].reason);
		if (!is_good)
			continue;
		CHECK_INT(policy.mode, cases[i].mode);
		CHECK_INT(policy.max_age_s, cases[i].max_age_s);
		CHECK_INT(policy.mx_count, cases[i].mx_count);
	}
}

static void test_too_large(void)
{
	static char text[STS_POLICY_MAX + 1];
	struct sts_policy policy;
	const char *reason = NULL;

	memset(text, '\n', sizeof(text));
	CHECK(!sts_policy_parse((struct span){ text, sizeof(text) }, &policy, &reason));
	CHECK_STR(reason, "too large");
}

static void test_hosts(void)
{
	static const char text[] = HEAD "mx: mail.example.com\r\nmx:*.Example.net \nx-mx: bad.test\n"
					"max_age: 1\n";
	static const struct {
		const char *host;
		bool is_allowed;
	} cases[] = {
		{ "mail.example.com", true },   { "MAIL.example.COM", true },
		{ "example.com", false },       { "a.mail.example.com", false },
		{ "xmail.example.com", false }, { "a.example.net", true },
		{ "example.net", false },       { ".example.net", false },
		{ "a.b.example.net", false },   { "aexample.net", false },
		{ "bad.test", false },          { "", false },
		{ "mail.example.com.", false },
	};
	struct sts_policy policy;
	const char *reason;

	CHECK(sts_policy_parse(SPAN(text), &policy, &reason));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_STR(sts_policy_allows(&policy, span_of(cases[i].host)) ? cases[i].host : "no",
			  cases[i].is_allowed ? cases[i].host : "no");
}

int main(void)
{
	TEST(records);
	TEST(policies);
	TEST(too_large);
	TEST(hosts);
	return test_end();
}
