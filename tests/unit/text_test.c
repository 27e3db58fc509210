/* SPDX-License-Identifier: MIT */
/* lib/base: logical lines, words with braces, IP networks, JSON strings, folding. */

#include "test.h"

#include "base/fold.h"
#include "base/ip.h"
#include "base/json.h"
#include "base/lines.h"
#include "base/words.h"

static void test_lines(void)
{
	static const char text[] = "# c\n\n  start\none,\n# c\n  two \n\n\tthree\t\r\nfour";
	static const struct {
		const char *line;
		unsigned number;
	} want[] = { { "  start", 3 }, { "one,  two \tthree", 4 }, { "four", 9 } };
	struct lines lines;
	struct span line;
	unsigned number;

	lines_init(&lines, SPAN(text));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		CHECK(lines_next(&lines, &line, &number));
		CHECK_SPAN(line, want[i].line);
		CHECK_INT(number, want[i].number);
	}
	CHECK(!lines_next(&lines, &line, &number));
	lines_done(&lines);
}

static void test_words(void)
{
	struct span rest = SPAN("a, b:{c, {d e} } {f}} {open g"), inner;
	const char *reason;

	CHECK_SPAN(words_next(&rest, WORDS_BLANK_OR_COMMA), "a");
	CHECK_SPAN(words_next(&rest, WORDS_BLANK_OR_COMMA), "b:{c, {d e} }");
	CHECK_SPAN(words_next(&rest, WORDS_BLANK_OR_COMMA), "{f}}");
	CHECK_SPAN(words_next(&rest, WORDS_BLANK_OR_COMMA), "{open g");
	CHECK_INT(words_next(&rest, WORDS_BLANK_OR_COMMA).n, 0);
	CHECK(words_unbrace(SPAN("{ a {b} } "), &inner, &reason));
	CHECK_SPAN(inner, "a {b}");
	CHECK(!words_unbrace(SPAN("a}"), &inner, &reason));
	CHECK(!words_unbrace(SPAN("{a"), &inner, &reason));
	CHECK(!words_unbrace(SPAN("{a}b"), &inner, &reason));
}

static void test_networks(void)
{
	static const struct {
		const char *net, *addr;
		bool is_in;
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.255", true },   { "192.0.2.0/25", "192.0.2.128", false },
		{ "192.0.2.7", "192.0.2.7", true },	   { "0.0.0.0/0", "1.2.3.4", true },
		{ "0.0.0.0/0", "::1", false },		   { "::/0", "::1", true },
		{ "[2001:db8::]/33", "2001:db8:7fff::", true }, { "[2001:db8::]/33", "2001:db8:8000::", false },
		{ "[::1]", "::1", true },		   { "::ffff:0:0/96", "1.2.3.4", false },
	};
	static const char *const bad[] = { "", "1.2.3", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1",
					   "[1.2.3.4", "[::1]x", "::1/129", "1.2.3.4/8", "[::/8]/8",
					   "1.2.3.4 ", "name" };
	struct buf error = BUF_INIT(4096);
	struct ip_net net;
	struct ip_addr addr;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK(ip_net_parse(span_of(cases[i].net), &net, &error));
		CHECK(ip_parse(span_of(cases[i].addr), &addr));
		CHECK_INT(ip_net_has(&net, &addr), cases[i].is_in);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(!ip_net_parse(span_of(bad[i]), &net, &error) && buf_span(&error).n > 0);
	buf_done(&error);
}

static void test_json(void)
{
	struct buf out = BUF_INIT(100);

	CHECK(json_string(&out, SPAN("a\"\\/\n\x01\x7f\xc3\xa4\xff")));
	CHECK_STR(buf_str(&out), "\"a\\\"\\\\/\\n\\u0001\\u007f\xc3\xa4\\ufffd\"");
	buf_done(&out);
}

static void test_fold(void)
{
	struct buf out = BUF_INIT(1000);

	CHECK(fold_text(SPAN("ABC\xc3\x84"), false, &out));
	CHECK_STR(buf_str(&out), "abc\xc3\x84");
	CHECK(fold_text(SPAN("ABC\xc3\x84\xc3\x9f"), true, &out));
	CHECK_STR(buf_str(&out), "abc\xc3\xa4ss");
	CHECK(fold_text(SPAN("ABC\xff"), true, &out));
	CHECK_STR(buf_str(&out), "abc\xff");
	buf_done(&out);
}

int main(void)
{
	TEST(lines);
	TEST(words);
	TEST(networks);
	TEST(json);
	TEST(fold);
	return test_end();
}
