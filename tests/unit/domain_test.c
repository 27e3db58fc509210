/* SPDX-License-Identifier: MIT */
/* Host names, address literals, numeric addresses, IDN. */

#include "base/buf.h"
#include "base/ip.h"
#include "mail/domain.h"
#include "mail/idna.h"
#include "test.h"

static void test_names(void)
{
	static const struct {
		const char *name;
		enum domain_status status;
	} cases[] = {
		{ "d.test", DOMAIN_OK },
		{ "localhost", DOMAIN_OK },
		{ "b_c.test", DOMAIN_OK },
		{ "xn--a--b.test", DOMAIN_OK },
		{ "1.2.3.4x", DOMAIN_OK },
		{ "", DOMAIN_EMPTY },
		{ ".d.test", DOMAIN_EMPTY },
		{ "d..test", DOMAIN_EMPTY },
		{ "d.test.", DOMAIN_EMPTY },
		{ "-d.test", DOMAIN_BAD_HYPHEN },
		{ "d-.test", DOMAIN_BAD_HYPHEN },
		{ "1.2.3.4", DOMAIN_NUMERIC },
		{ "12", DOMAIN_NUMERIC },
		{ "a b.test", DOMAIN_BAD_CHAR },
		{ "a%b", DOMAIN_BAD_CHAR },
		{ "\xc3\xa9.test", DOMAIN_BAD_CHAR },
		{ "[1.2.3.4]", DOMAIN_OK },
		{ "[IPv6:::1]", DOMAIN_OK },
		{ "[::1]", DOMAIN_BAD_LITERAL },
		{ "[IPv6:1.2.3.4]", DOMAIN_BAD_LITERAL },
		{ "[1.2.3]", DOMAIN_BAD_LITERAL },
		{ "[1.2.3.4", DOMAIN_BAD_LITERAL },
		{ "[01.2.3.4]", DOMAIN_BAD_LITERAL },
	};
	char label[80];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_INT(domain_check(span_of(cases[i].name), false), cases[i].status);
	CHECK_INT(domain_check(SPAN("\xc3\xa9.test"), true), DOMAIN_OK);
	snprintf(label, sizeof(label), "x%062d", 0);
	CHECK_INT(domain_check(span_of(label), false), DOMAIN_OK);
	snprintf(label, sizeof(label), "x%063d", 0);
	CHECK_INT(domain_check(span_of(label), false), DOMAIN_TOO_LONG);
	CHECK(domain_is_within(SPAN("a.B.test"), SPAN("b.TEST")) &&
	      domain_is_within(SPAN("b.test"), SPAN("b.test")) &&
	      !domain_is_within(SPAN("ab.test"), SPAN("b.test")) &&
	      !domain_is_within(SPAN("a.test"), SPAN("")));
	CHECK_SPAN(domain_parent(SPAN("a.b.c")), "b.c");
	CHECK_SPAN(domain_parent(SPAN("c")), "");
}

static void test_addresses(void)
{
	static const struct {
		const char *text;
		const char *format;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1" }, { "2001:DB8::1", "2001:db8::1" },
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.1" }, { "::", "::" }, { "1.2.3", NULL },
		{ "1.2.3.4.5", NULL }, { "256.1.1.1", NULL }, { "1.2.3.04", NULL }, { "", NULL },
		{ "::1%lo", NULL }, { "[::1]", NULL }, { " 1.2.3.4", NULL }, { "0x1.2.3.4", NULL },
		{ "1:2:3:4:5:6:7:8:9", NULL },
	};
	char text[IP_TEXT_MAX];
	struct ip_addr addr;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		bool is_good = ip_parse(span_of(cases[i].text), &addr);

		CHECK_INT(is_good, cases[i].format != NULL);
		if (is_good)
			CHECK_SPAN(ip_text(&addr, text), cases[i].format);
	}
}

static void test_idna(void)
{
	static const struct {
		const char *utf8;
		const char *ascii;
	} cases[] = {
		{ "b\xc3\xbc" "cher.test", "xn--bcher-kva.test" },
		{ "B\xc3\x9c" "CHER.test", "xn--bcher-kva.test" },
		{ "stra\xc3\x9f" "e.test", "xn--strae-oqa.test" },
		{ "\xe2\x84\xaa" "elvin.\xc3\xa9", "kelvin.xn--9ca" },
		{ "D.Test", "D.Test" },
		{ "a b.test", NULL },
		{ "\xff.test", NULL },
		{ "\xc3\xa9\xe2\x80\xae.test", NULL },
		{ "", NULL },
	};
	struct buf out = BUF_INIT(2000);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_reset(&out);
		CHECK_INT(idna_to_ascii(&out, span_of(cases[i].utf8), false),
			  cases[i].ascii != NULL);
		CHECK_SPAN(buf_span(&out), cases[i].ascii != NULL ? cases[i].ascii : "");
	}
	buf_reset(&out);
	CHECK(idna_to_ascii(&out, SPAN("stra\xc3\x9f" "e.test"), true));
	CHECK_SPAN(buf_span(&out), "strasse.test");
	buf_reset(&out);
	CHECK(idna_to_utf8(&out, SPAN("xn--bcher-kva.test"), false));
	CHECK_SPAN(buf_span(&out), "b\xc3\xbc" "cher.test");
	buf_done(&out);
}

int main(void)
{
	TEST(names);
	TEST(addresses);
	TEST(idna);
	return test_end();
}
