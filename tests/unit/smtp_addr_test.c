/* SPDX-License-Identifier: MIT */
/* Envelope addresses: RFC 5321 4.1.2, the lax forms that Postfix takes, and the attack rows P. */

#include "base/buf.h"
#include "base/mem.h"
#include "mail/addr.h"
#include "mail/smtp_addr.h"
#include "test.h"

enum { LAX = 0, STRICT = SMTP_ADDR_STRICT, EXACT = SMTP_ADDR_STRICT | SMTP_ADDR_EXACT };

/* What a path gives in the three grades; NULL: syntax error. */
static const struct path_case {
	const char *path;
	const char *lax;
	const char *strict;
	const char *exact;
} path_cases[] = {
	{ "<a@d.test>", "a@d.test", "a@d.test", "a@d.test" },
	{ "a@d.test", "a@d.test", NULL, NULL },
	{ "<alice>", "alice", "alice", "alice" },
	{ "<>", "", "", "" },
	{ "<@hop.test,@hop2.test:alice@d.test>", "alice@d.test", "alice@d.test", "alice@d.test" },
	{ "@hop.test:alice@d.test", "alice@d.test", NULL, NULL },
	{ "<@a.test:@b.test:c@d.test>", "c@d.test", NULL, NULL },
	{ "<@[IPv6:::1]:c@d.test>", "c@d.test", "c@d.test", "c@d.test" },
	{ "<@a.test:>", "", NULL, NULL },
	{ "<\"alice\"@d.test>", "alice@d.test", "alice@d.test", "alice@d.test" },
	{ "<\"al ice\"@d.test>", "al ice@d.test", "al ice@d.test", "al ice@d.test" },
	{ "<\"al\\\"ice\"@d.test>", "al\"ice@d.test", "al\"ice@d.test", "al\"ice@d.test" },
	{ "<\"al\\\\ice\"@d.test>", "al\\ice@d.test", "al\\ice@d.test", "al\\ice@d.test" },
	{ "<al\\ ice@d.test>", "al ice@d.test", "al ice@d.test", NULL },
	{ "<\"a@b\"@d.test>", "a@b@d.test", "a@b@d.test", "a@b@d.test" },
	{ "<\"a@b.test\">", "a@b.test", "a@b.test", "a@b.test" },
	{ "<a@b@d.test>", "a@b@d.test", "a@b@d.test", NULL },
	{ "<\"\">", "", "", NULL },
	{ "<\"\"@d.test>", "@d.test", NULL, NULL },
	{ "<@d.test>", "@d.test", NULL, NULL },
	{ "<@@d.test>", "@@d.test", NULL, NULL },
	{ "<a.@d.test>", "a.@d.test", "a.@d.test", "a.@d.test" },
	{ "<.a@d.test>", ".a@d.test", ".a@d.test", ".a@d.test" },
	{ "<a..b@d.test>", "a..b@d.test", "a..b@d.test", "a..b@d.test" },
	{ "<a@d..e>", NULL, NULL, NULL },
	{ "<a@d.test.>", "a@d.test.", "a@d.test.", "a@d.test." },
	{ "<a@d.test..>", NULL, NULL, NULL },
	{ "<a@.d.test>", NULL, NULL, NULL },
	{ "<a@>", NULL, NULL, NULL },
	{ "<@>", NULL, NULL, NULL },
	{ "< a@d.test>", "a@d.test", "a@d.test", NULL },
	{ "<a@d.test >", "a@d.test", "a@d.test", NULL },
	{ "<a @d.test>", "a@d.test", "a@d.test", NULL },
	{ "<a@ d.test>", "a@d.test", "a@d.test", NULL },
	{ "<alice(c)@d.test>", "alice@d.test", NULL, NULL },
	{ "<a@d.test(c)>", "a@d.test", NULL, NULL },
	{ "<a@d.test>(c)", "a@d.test", NULL, NULL },
	{ "<a@d>>", "a@d", "a@d", NULL },
	{ "<<a@d.test>>", "a@d.test", "a@d.test", NULL },
	{ "<a@d.test>,<b@d.test>", NULL, NULL, NULL },
	{ "<a@d.test,b@d.test>", NULL, NULL, NULL },
	{ "a@d.test,b@d.test", NULL, NULL, NULL },
	{ "<a@d.test", NULL, NULL, NULL },
	{ "a@d.test>", "a@d.test", NULL, NULL },
	{ "<a@d.test>x", NULL, NULL, NULL },
	{ "<-oQ/tmp@d.test>", NULL, NULL, NULL },
	{ "<|/bin/sh@d.test>", "|/bin/sh@d.test", "|/bin/sh@d.test", "|/bin/sh@d.test" },
	{ "<:include:/x@d.test>", ":include:/x@d.test", ":include:/x@d.test", NULL },
	{ "<a@[1.2.3.4]>", "a@[1.2.3.4]", "a@[1.2.3.4]", "a@[1.2.3.4]" },
	{ "<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]",
	  "a@[IPv6:2001:db8::1]" },
	{ "<a@[ipv6:::1]>", "a@[ipv6:::1]", "a@[ipv6:::1]", "a@[ipv6:::1]" },
	{ "<a@[1.2.3]>", NULL, NULL, NULL },
	{ "<a@[256.1.1.1]>", NULL, NULL, NULL },
	{ "<a@[::1]>", NULL, NULL, NULL },
	{ "<a@[foo]>", NULL, NULL, NULL },
	{ "<a@[]>", NULL, NULL, NULL },
	{ "<a@1.2.3.4>", NULL, NULL, NULL },
	{ "<a%b.test@c.test>", "a%b.test@c.test", "a%b.test@c.test", "a%b.test@c.test" },
	{ "<b.test!a>", "b.test!a", "b.test!a", "b.test!a" },
	{ "<a@b_c.test>", "a@b_c.test", "a@b_c.test", "a@b_c.test" },
	{ "<a@-b.test>", NULL, NULL, NULL },
	{ "<a@b-.test>", NULL, NULL, NULL },
	{ "<a;b@d.test>", NULL, NULL, NULL },
	{ "<a:b@d.test>", "a:b@d.test", "a:b@d.test", NULL },
	{ "<a,b@d.test>", NULL, NULL, NULL },
	{ "<a<b@d.test>", NULL, NULL, NULL },
	{ "<a[b@d.test>", NULL, NULL, NULL },
	{ "<a\\@b@d.test>", "a@b@d.test", "a@b@d.test", NULL },
	{ "<\"a>b\"@d.test>", "a>b@d.test", "a>b@d.test", "a>b@d.test" },
	{ "<\"a@d.test>", NULL, NULL, NULL },
	{ "<a\"b\"c@d.test>", NULL, NULL, NULL },
	{ "<\"a\".\"b\"@d.test>", "a.b@d.test", "a.b@d.test", NULL },
	{ "<\xc3\xa9@d.test>", "\xc3\xa9@d.test", "\xc3\xa9@d.test", "\xc3\xa9@d.test" },
	{ "<a@\xc3\xa9.test>", NULL, NULL, NULL },
	{ "<a@x.b c>", NULL, NULL, NULL },
	{ "<a b>", NULL, NULL, NULL },
	{ "<a b c@d.test>", NULL, NULL, NULL },
	{ ";", "", NULL, NULL },
	{ "<a:;>", "", NULL, NULL },
	{ "<a\tb@d.test>", NULL, NULL, NULL },
	{ "<a\x01@d.test>", NULL, NULL, NULL },
	{ "<a\xff@d.test>", NULL, NULL, NULL },
	{ "<a\xc0\xaf@d.test>", NULL, NULL, NULL },
	{ "<a\xed\xa0\x80@d.test>", NULL, NULL, NULL },
	{ "<=?utf-8?q?=40?=@d.test>", "=?utf-8?q?=40?=@d.test", "=?utf-8?q?=40?=@d.test",
	  "=?utf-8?q?=40?=@d.test" },
	{ "<${run{/bin/id}}@d.test>", "${run{/bin/id}}@d.test", "${run{/bin/id}}@d.test",
	  "${run{/bin/id}}@d.test" },
};

static void check_path(const char *path, unsigned flags, const char *want)
{
	struct buf out = BUF_INIT(10000);
	enum smtp_addr_status status = smtp_addr_parse(span_of(path), flags, &out);

	if ((status == SMTP_ADDR_OK) != (want != NULL) ||
	    (want != NULL && !span_is(buf_span(&out), want))) {
		printf("# path %s, flags %u: status %d, \"%s\"\n", path, flags, (int)status,
		       buf_str(&out));
		CHECK(false);
	}
	buf_done(&out);
}

static void test_paths(void)
{
	for (size_t i = 0; i < ARRAY_LEN(path_cases); i++) {
		check_path(path_cases[i].path, LAX, path_cases[i].lax);
		check_path(path_cases[i].path, STRICT, path_cases[i].strict);
		check_path(path_cases[i].path, EXACT, path_cases[i].exact);
	}
}

static void test_flags(void)
{
	struct buf out = BUF_INIT(1000);
	char path[400];

	check_path("<-a@d.test>", SMTP_ADDR_MIN_USER, "-a@d.test");
	check_path("<a@1.2.3.4>", SMTP_ADDR_NUMERIC, "a@1.2.3.4");
	check_path("<a@\xc3\xa9.test>", SMTP_ADDR_UTF8, "a@\xc3\xa9.test");
	CHECK_INT(smtp_addr_parse(SPAN("<\xc3\xa9@d.test>"), SMTP_ADDR_ASCII, &out),
		  SMTP_ADDR_NEEDS_UTF8);
	CHECK_INT(smtp_addr_parse(SPAN("<a\0b@d.test>"), 0, &out), SMTP_ADDR_SYNTAX);
	CHECK_INT(buf_span(&out).n, 0);
	snprintf(path, sizeof(path), "<%065d@d.test>", 0);
	CHECK_INT(smtp_addr_parse(span_of(path), 0, &out), SMTP_ADDR_OK);
	CHECK_INT(smtp_addr_parse(span_of(path), SMTP_ADDR_LIMITS, &out), SMTP_ADDR_SYNTAX);
	snprintf(path, sizeof(path), "<a@x%063d.test>", 0);
	CHECK_INT(smtp_addr_parse(span_of(path), 0, &out), SMTP_ADDR_SYNTAX);
	buf_done(&out);
}

static void test_length(void)
{
	static const struct {
		const char *args;
		size_t length;
	} cases[] = {
		{ "<a@b> SIZE=3", 5 }, { "<a b> X", 5 }, { "a@b X", 3 }, { "\"a b\"@c X", 7 },
		{ "<\"a> b\"@c> X", 10 }, { "<a@b x", 4 }, { "<a@b>x y", 6 }, { "", 0 },
		{ "<\"a b> x", 8 }, { "<a\\> b> x", 7 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_INT(smtp_addr_length(span_of(cases[i].args)), cases[i].length);
}

static void test_quote(void)
{
	static const struct {
		const char *internal;
		const char *external;
	} cases[] = {
		{ "a@d.test", "a@d.test" },
		{ "", "" },
		{ "al ice@d", "\"al ice\"@d" },
		{ "a\"b\\c@d", "\"a\\\"b\\\\c\"@d" },
		{ "@d", "\"\"@d" },
		{ "a..b@d", "\"a..b\"@d" },
		{ "a.@d", "\"a.\"@d" },
		{ ".", "\".\"" },
		{ "a@b@c", "\"a@b\"@c" },
		{ "a@", "a@" },
		{ "\xc3\xa9@d", "\xc3\xa9@d" },
		{ "a:b", "\"a:b\"" },
		{ "a.b", "a.b" },
	};
	struct buf out = BUF_INIT(1000);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_reset(&out);
		addr_quote(&out, span_of(cases[i].internal));
		CHECK_SPAN(buf_span(&out), cases[i].external);
	}
	buf_done(&out);
}

/* Row P17: long runs of what parsers stumble over end at once. */
static void test_hostile_runs(void)
{
	static const char *const units[] = {
		"(", ".!", "\\", "\"", "@,@,:", "<", "[", "a ", "@a:"
	};
	struct buf path = BUF_INIT(100000), out = BUF_INIT(100000);

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		buf_reset(&path);
		buf_reset(&out);
		buf_char(&path, '<');
		while (buf_span(&path).n < 50000)
			buf_text(&path, units[i]);
		CHECK_INT(smtp_addr_parse(buf_span(&path), 0, &out), SMTP_ADDR_SYNTAX);
		buf_char(&path, '>');
		buf_reset(&out);
		CHECK(smtp_addr_parse(buf_span(&path), 0, &out) <= SMTP_ADDR_NEEDS_UTF8);
	}
	buf_done(&path);
	buf_done(&out);
}

int main(void)
{
	TEST(paths);
	TEST(flags);
	TEST(length);
	TEST(quote);
	TEST(hostile_runs);
	return test_end();
}
