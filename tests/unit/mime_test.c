/* SPDX-License-Identifier: MIT */
/* MIME structure, its values, conversion to 7bit, base64, VERP. */

#include <time.h>

#include "base/base64.h"
#include "base/buf.h"
#include "mail/mime.h"
#include "mail/mime_7bit.h"
#include "mail/mime_value.h"
#include "mail/probe_sender.h"
#include "mail/verp.h"
#include "test.h"

/* Events as text: "P name" "M name" "N name" for headers, "." for ends of heads, body lines. */
static void on_header(void *context, enum mime_head head, const struct header *header)
{
	buf_printf(context, "%c %.*s|", "PMN"[head], SPAN_ARG(header->name));
}

static void on_head_end(void *context, enum mime_head head UNUSED, enum mime_end end,
			const struct mime_part *part UNUSED)
{
	buf_text(context, end == MIME_END_BLANK ? ".|" : end == MIME_END_TEXT ? "!|" : "$|");
}

static void on_body(void *context, struct span line, bool has_line_end, uint64_t offset UNUSED)
{
	buf_add(context, line);
	buf_text(context, has_line_end ? "|" : "");
}

static void on_boundary(void *context, struct span line, bool has_line_end)
{
	buf_char(context, '=');
	on_body(context, line, has_line_end, 0);
}

static const struct mime_events events = { on_header, on_head_end, on_body, on_boundary };
static const struct mime_rules usual = { 1000, 2048, 100, false, true };

static unsigned parse(const struct mime_rules *rules, struct span text, struct buf *out)
{
	struct mime *mime = mime_new(rules, &events, out);
	struct span line;
	unsigned problems;

	buf_reset(out);
	while (span_line(&text, &line))
		mime_line(mime, line, true);
	mime_finish(mime);
	problems = mime_problems(mime);
	mime_free(mime);
	return problems;
}

#define MIXED "Content-Type: multipart/mixed; boundary=\"b\"\n\npre\n"

static const struct {
	const char *text;
	const char *events;
	unsigned problems;
} cases[] = {
	{ "A: 1\nB: 2\n 3\n\nbody\n", "P A|P B|.|body|", 0 },
	{ "A: 1\n", "P A|$|", 0 },
	{ "nope\nA: 1\n", "!|nope|A: 1|", 0 },
	{ " lead\nA: 1\n", "!| lead|A: 1|", 0 },
	{ MIXED "--b\nX: 1\nnot a header\ntext\n--b--\n",
	  "P Content-Type|.|pre|=--b|M X|!|not a header|text|=--b--|", 0 },
	{ MIXED "--b\nX: 1\n--b\nY: 2\n\ntext\n--b--\nepi: 1\n",
	  "P Content-Type|.|pre|=--b|M X|!|=--b|M Y|.|text|=--b--|epi: 1|", 0 },
	{ MIXED "--b\nContent-Type: message/rfc822\n\nSubject : x\n\nin\n--b--\n",
	  "P Content-Type|.|pre|=--b|M Content-Type|.|N Subject|.|in|=--b--|", 0 },
	{ MIXED "--b\nContent-Type: message/external-body\n\nX-N: 1\n\nq\n--b--\n",
	  "P Content-Type|.|pre|=--b|M Content-Type|.|X-N: 1||q|=--b--|", 0 },
	{ MIXED "--bxx\nBad: 1\n\ntext\n--b--yy\nepi: 1\n",
	  "P Content-Type|.|pre|=--bxx|M Bad|.|text|=--b--yy|epi: 1|", 0 },
	{ "Content-Type: multipart/digest; boundary=b\n\n--b\n\nX-N: 1\n\nq\n--b--\n",
	  "P Content-Type|.|=--b|.|N X-N|.|q|=--b--|", 0 },
	{ "content-type: (c) multipart (d) / mixed (x); (y) boundary (z) = (q) b\n\n--b\nX-B: 1\n",
	  "P content-type|.|=--b|M X-B|$|", 0 },
	{ "content-type: multipart/mixed;\n\tboundary=\n b\n\n--b\nX-B: 1\n",
	  "P content-type|.|=--b|M X-B|$|", 0 },
	{ "content-type: multipart/mixed; boundary=\"\"\n\n--\nX-B: 1\n",
	  "P content-type|.|--|X-B: 1|", 0 },
	{ "content-type: multipart/mixed; boundary*0=\"b\"; boundary*1=c\n\n--bc\nX-B: 1\n",
	  "P content-type|.|=--bc|M X-B|$|", 0 },
	{ "Content-Type: multipart/mixed; boundary=x; boundary=b\n\n--b\nB: 1\n--x\nX: 2\n\nz\n",
	  "P Content-Type|.|--b|B: 1|=--x|M X|.|z|", MIME_PROBLEM_AMBIGUOUS },
	{ "Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=b\n\n--b\nX-B: 1\n",
	  "P Content-Type|P Content-Type|.|--b|X-B: 1|", MIME_PROBLEM_AMBIGUOUS },
	{ "Subject: caf\xc3\xa9\n\nx\n", "P Subject|.|x|", MIME_PROBLEM_8BIT_HEADER },
	{ "Subject: x\n\ncaf\xc3\xa9\n", "P Subject|.|caf\xc3\xa9|", MIME_PROBLEM_8BIT_BODY },
	{ "Content-Transfer-Encoding: 8bit\n\ncaf\xc3\xa9\n",
	  "P Content-Transfer-Encoding|.|caf\xc3\xa9|", 0 },
	{ "Content-Transfer-Encoding: base64\nContent-Type: multipart/mixed; boundary=b\n\nx\n",
	  "P Content-Transfer-Encoding|P Content-Type|.|x|", MIME_PROBLEM_ENCODING },
	/* An inner multipart that is not closed ends with the outer boundary. */
	{ "Content-Type: multipart/mixed; boundary=o\n\n--o\n"
	  "Content-Type: multipart/mixed; boundary=i\n\n--i\nX: 1\n\nt\n--o\nY: 1\n\n--i\n",
	  "P Content-Type|.|=--o|M Content-Type|.|=--i|M X|.|t|=--o|M Y|.|--i|", 0 },
};

static void test_structure(void)
{
	struct buf out = BUF_INIT(100000);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unsigned problems = parse(&usual, span_of(cases[i].text), &out);

		CHECK_STR(buf_str(&out), cases[i].events);
		CHECK_INT(problems, cases[i].problems);
	}
	buf_done(&out);
}

static void test_limits(void)
{
	struct buf out = BUF_INIT(10000000), text = BUF_INIT(10000000);
	struct mime_rules rules = usual;

	rules.nesting_limit = 2;
	for (int i = 0; i < 5; i++)
		buf_printf(&text, "%sContent-Type: multipart/mixed; boundary=x%d\n\n",
			   i > 0 ? "" : "", i),
			buf_printf(&text, "--x%d\n", i);
	CHECK_INT(parse(&rules, buf_span(&text), &out), MIME_PROBLEM_NESTING);
	buf_reset(&text);
	buf_text(&text, "A: ");
	while (buf_span(&text).n < 2000)
		buf_text(&text, "x\n ");
	buf_text(&text, "\nB: 1\n\nbody\n");
	CHECK_INT(parse(&usual, buf_span(&text), &out), MIME_PROBLEM_LONG_HEADER);
	CHECK_STR(buf_str(&out), "P A|P B|.|body|");
	rules.is_flat = true;
	CHECK_INT(parse(&rules, SPAN(MIXED "--b\nX: 1\n"), &out), 0);
	CHECK_STR(buf_str(&out), "P Content-Type|.|pre|--b|X: 1|");
	buf_done(&out);
	buf_done(&text);
}

/* Pieces of a long line belong to where the line began. */
static void test_pieces(void)
{
	struct buf out = BUF_INIT(10000);
	struct mime *mime = mime_new(&usual, &events, &out);

	mime_line(mime, SPAN("Long: x"), false);
	mime_line(mime, SPAN("Not: y"), false);
	mime_line(mime, SPAN("z"), true);
	mime_line(mime, SPAN(""), true);
	mime_line(mime, SPAN("a"), false);
	mime_line(mime, SPAN("b"), true);
	mime_finish(mime);
	CHECK_STR(buf_str(&out), "P Long|.|ab|");
	mime_free(mime);
	buf_done(&out);
}

static void test_values(void)
{
	static const struct {
		const char *params;
		const char *value;
		enum mime_param found;
	} rows[] = {
		{ "; boundary=b", "b", MIME_PARAM_FOUND },
		{ ";boundary=\"a;b\\\"c\" ; x=y", "a;b\"c", MIME_PARAM_FOUND },
		{ "; x=\"; boundary=no\"; boundary=yes", "yes", MIME_PARAM_FOUND },
		{ "; BOUNDARY = b (c)", "b", MIME_PARAM_FOUND },
		{ "; boundary=a=b/c", "a=b/c", MIME_PARAM_FOUND },
		{ "; boundary*0=\"a\"; boundary*1=.exe", "a.exe", MIME_PARAM_FOUND },
		{ "; boundary*1=b; boundary*0=a", "ab", MIME_PARAM_FOUND },
		{ "; boundary*0*=utf-8''a%20b; boundary*1*=%c3%a9; boundary*2=\"%41\"",
		  "a b\xc3\xa9%41", MIME_PARAM_FOUND },
		{ "; boundary*=us-ascii'en'x%2", "x%2", MIME_PARAM_FOUND },
		{ "; boundary*1=b", "", MIME_PARAM_NONE },
		{ "; boundary=a; boundary*0=b", "a", MIME_PARAM_TWICE },
		{ "; boundary=a; boundary=b", "a", MIME_PARAM_TWICE },
		{ "; boundaryx=b", "", MIME_PARAM_NONE },
		{ "boundary=b", "", MIME_PARAM_NONE },
		{ "; boundary", "", MIME_PARAM_NONE },
		{ "; boundary=", "", MIME_PARAM_FOUND },
		{ "; boundary=\"open", "open", MIME_PARAM_FOUND },
		{ ";;; (;boundary=c) ; boundary=b", "b", MIME_PARAM_FOUND },
		{ "", "", MIME_PARAM_NONE },
	};
	struct buf out = BUF_INIT(1000);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&out);
		CHECK_INT(mime_value_param(&out, span_of(rows[i].params), "boundary"),
			  rows[i].found);
		CHECK_STR(buf_str(&out), rows[i].value);
	}
	buf_done(&out);
}

static void test_value_pieces(void)
{
	static const struct {
		const char *params, *value; /* NULL: not in pieces */
	} rows[] = {
		{ "; name*0=\"a\"; name*1=\".exe\"", "a.exe" },
		{ "; name=a.txt; name*1=.exe; name*0=b", "b.exe" },
		{ "; name*=utf-8''a%2eexe", "a.exe" },
		{ "; name=a.exe", NULL },
		{ "; name*1=a", NULL },
		{ "; filename*0=a", NULL },
		{ "", NULL },
	};
	struct buf out = BUF_INIT(1000);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&out);
		CHECK(mime_value_pieces(&out, span_of(rows[i].params), "name") ==
		      (rows[i].value != NULL));
		if (rows[i].value != NULL)
			CHECK_STR(buf_str(&out), rows[i].value);
	}
	buf_done(&out);
}

/* Row E9: parameters by the ten thousand, and other things that grow. */
static void test_hostile_values(void)
{
	static const char *const units[] = { "; a*1=b", "(", "; \"", "\\\"", "; a*0*='", ";" };
	struct buf text = BUF_INIT(1000000), out = BUF_INIT(1000000);

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		clock_t start = clock();

		buf_reset(&text);
		buf_reset(&out);
		while (buf_span(&text).n < 350000)
			buf_text(&text, units[i]);
		(void)mime_value_param(&out, buf_span(&text), "a");
		CHECK(clock() - start < CLOCKS_PER_SEC / 2);
	}
	buf_done(&text);
	buf_done(&out);
}

static void take_line(void *context, struct span text, bool has_line_end)
{
	buf_add(context, text);
	buf_text(context, has_line_end ? "\n" : "");
}

static void check_7bit(const char *text, bool has_untagged, const char *want)
{
	struct mime_7bit_rules rules = { usual, has_untagged };
	struct buf out = BUF_INIT(100000);
	struct mime_7bit *c = mime_7bit_new(&rules, take_line, &out);
	struct span rest = span_of(text), line;

	while (span_line(&rest, &line))
		mime_7bit_line(c, line, true);
	mime_7bit_finish(c);
	CHECK_STR(buf_str(&out), want);
	mime_7bit_free(c);
	buf_done(&out);
}

static void test_7bit(void)
{
	check_7bit("MIME-Version: 1.0\nContent-Type: text/plain;\n charset=utf-8\n"
		   "Content-Transfer-Encoding: 8bit\nSubject: x\n\ncaf\xc3\xa9 = one \nline\n",
		   false,
		   "MIME-Version: 1.0\nContent-Type: text/plain;\n charset=utf-8\nSubject: x\n"
		   "Content-Transfer-Encoding: quoted-printable\n\ncaf=C3=A9 =3D one=20\nline\n");
	check_7bit(
		"Content-Transfer-Encoding: 8bit\nContent-Type: multipart/mixed; boundary=\"=_b\"\n\n"
		"--=_b\nContent-Transfer-Encoding: 8bit\n\n\xc3\xa9\n--=_b\n\n= plain\n--=_b--\n=\n",
		false,
		"Content-Type: multipart/mixed; boundary=\"=_b\"\nContent-Transfer-Encoding: 7bit\n\n"
		"--=_b\nContent-Transfer-Encoding: quoted-printable\n\n=C3=A9\n--=_b\n\n= plain\n"
		"--=_b--\n=\n");
	check_7bit("Content-Transfer-Encoding: base64\n\nAAAA=\n", true,
		   "Content-Transfer-Encoding: base64\n\nAAAA=\n");
	check_7bit("Subject: x\n\n\xc3\xa9\n", true,
		   "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\n"
		   "Content-Transfer-Encoding: quoted-printable\n\n=C3=A9\n");
	check_7bit("Subject: x\n\n\xc3\xa9\n", false, "Subject: x\n\n\xc3\xa9\n");
	check_7bit(
		"Content-Transfer-Encoding: binary\n\n"
		"123456789 123456789 123456789 123456789 123456789 123456789 123456789 12345\xc3\xa9\n",
		false,
		"Content-Transfer-Encoding: quoted-printable\n\n"
		"123456789 123456789 123456789 123456789 123456789 123456789 123456789 12345=\n=C3=A9\n");
}

static void test_base64(void)
{
	static const struct {
		const char *text;
		const char *data;
	} rows[] = {
		{ "", "" },        { "Zg==", "f" },        { "Zm8=", "fo" },
		{ "Zm9v", "foo" }, { "Zm9vYg==", "foob" }, { "Zg=", NULL },
		{ "Zg", NULL },    { "Zh==", NULL },       { "Zm9=", NULL },
		{ "Z===", NULL },  { "====", NULL },       { "Zg==Zg==", NULL },
		{ "Zm 9", NULL },  { "Zm9v\n", NULL },     { "Z=9v", NULL },
	};
	struct buf out = BUF_INIT(100);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_reset(&out);
		CHECK_INT(base64_decode(&out, span_of(rows[i].text)), rows[i].data != NULL);
		CHECK_STR(buf_str(&out), rows[i].data != NULL ? rows[i].data : "");
		if (rows[i].data == NULL)
			continue;
		buf_reset(&out);
		CHECK(base64_encode(&out, span_of(rows[i].data)));
		CHECK_STR(buf_str(&out), rows[i].text);
	}
	buf_done(&out);
}

static void test_verp(void)
{
	struct buf out = BUF_INIT(100);

	CHECK(verp_are_delimiters(SPAN("+="), SPAN("-=+")));
	CHECK(!verp_are_delimiters(SPAN("+x"), SPAN("-=+")) &&
	      !verp_are_delimiters(SPAN("+"), SPAN("+")));
	verp_sender(&out, SPAN("+="), SPAN("owner-list@origin"), SPAN("user@domain"),
		    "double-bounce");
	CHECK_STR(buf_str(&out), "owner-list+user=domain@origin");
	buf_reset(&out);
	verp_sender(&out, SPAN("+="), SPAN(""), SPAN("user@domain"), "double-bounce");
	CHECK_STR(buf_str(&out), "");
	verp_sender(&out, SPAN("+="), SPAN("last@origin"), SPAN("user@domain"), "last");
	CHECK_STR(buf_str(&out), "last@origin");
	buf_reset(&out);
	verp_sender(&out, SPAN("+="), SPAN("double-bounce@origin"), SPAN("user@domain"), "last");
	CHECK_STR(buf_str(&out), "double-bounce+user=domain@origin");
	buf_done(&out);
}

static void test_probe_sender(void)
{
	struct buf out = BUF_INIT(100);
	struct clock_wall now = { .us = 1000 * INT64_C(1000000) };

	CHECK(probe_sender(&out, SPAN("probe@d.test"), 0, now));
	CHECK_STR(buf_str(&out), "probe@d.test");
	buf_reset(&out);
	CHECK(probe_sender(&out, SPAN("probe@d.test"), 10, now));
	CHECK_STR(buf_str(&out), "probe100@d.test");
	buf_reset(&out);
	CHECK(probe_sender(&out, SPAN("probe"), 10, now));
	CHECK_STR(buf_str(&out), "probe100");
	buf_reset(&out);
	CHECK(probe_sender(&out, SPAN("<>"), 10, now) && out.length == 0);
	buf_done(&out);

	static const struct {
		const char *address, *configured;
		int ttl_s;
		bool is;
	} rows[] = {
		{ "probe@o.test", "probe", 0, true },
		{ "PROBE@d.test", "probe@D.test", 0, true },
		{ "probe1@o.test", "probe", 0, false },
		{ "probe100@o.test", "probe", 10, true },
		{ "probe99@o.test", "probe", 10, true },
		{ "probe101@o.test", "probe", 10, true },
		{ "probe98@o.test", "probe", 10, false },
		{ "probe@o.test", "probe", 10, false },
		{ "probex@o.test", "probe", 10, false },
		{ "probe100@d.test", "probe", 10, false },
		{ "probe100", "probe", 10, false },
		{ "", "<>", 10, false },
		{ "", "", 0, false },
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK(probe_sender_is(span_of(rows[i].address), span_of(rows[i].configured),
				      SPAN("o.test"), rows[i].ttl_s, now) == rows[i].is);
}

int main(void)
{
	TEST(structure);
	TEST(limits);
	TEST(pieces);
	TEST(values);
	TEST(value_pieces);
	TEST(hostile_values);
	TEST(7bit);
	TEST(base64);
	TEST(verp);
	TEST(probe_sender);
	return test_end();
}
