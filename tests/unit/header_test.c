/* SPDX-License-Identifier: MIT */
/* Headers, address lists in them, dates. */

#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "mail/addr_list.h"
#include "mail/date.h"
#include "mail/header.h"
#include "test.h"

static void test_names(void)
{
	static const struct {
		const char *line;
		size_t length;
	} cases[] = {
		{ "Subject: x", 7 }, { "Subject : x", 7 }, { "Subject\t:x", 7 }, { ":x", 0 },
		{ " :x", 0 }, { "Sub ject: x", 0 }, { "nope", 0 }, { "\xc3\xa9: 1", 0 },
		{ "A\x01: 1", 0 }, { "A;B: 1", 3 }, { "A(c): 1", 4 }, { "A:", 1 }, { "", 0 },
		{ "From x y:", 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_INT(header_name_length(span_of(cases[i].line), NULL), cases[i].length);
}

static void test_table(void)
{
	static const char *const names[] = { "to",
					     "FROM",
					     "Apparently-To",
					     "x-original-to",
					     "resent-message-id",
					     "Content-Transfer-Encoding",
					     "Bcc" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		CHECK(span_is_nocase(span_of(header_find(span_of(names[i]))->name), names[i]));
	CHECK_INT(header_find(SPAN("Tox"))->id, HEADER_OTHER);
	CHECK_INT(header_find(SPAN("T"))->id, HEADER_OTHER);
	CHECK_INT(header_find(SPAN(""))->id, HEADER_OTHER);
	CHECK((header_find(SPAN("resent-to"))->flags & HEADER_IS_EXTRACTED) != 0);
}

static void test_walk(void)
{
	struct span head = SPAN("Subject: one\r\n two\r\nReceived : x\nA:\n\t\n\nbody: x\n");
	struct buf out = BUF_INIT(100);
	struct header header;

	CHECK(header_next(&head, &header));
	CHECK_SPAN(header.raw, "Subject: one\r\n two\r\n");
	CHECK_SPAN(header.value, " one\r\n two");
	header_unfold(&out, header.value);
	CHECK_SPAN(buf_span(&out), "one two");
	CHECK(header_next(&head, &header));
	CHECK_SPAN(header.name, "Received");
	CHECK_INT(header.info->id, HEADER_RECEIVED);
	CHECK(header_next(&head, &header));
	CHECK_SPAN(header.value, "\n\t");
	CHECK(!header_next(&head, &header));
	CHECK_SPAN(head, "\nbody: x\n");
	CHECK_INT(header_count(SPAN("Received: a\nX: b\nreceived: c\n d\n\nReceived: e\n"),
			       HEADER_RECEIVED), 2);
	CHECK(header_has_delivered_to(SPAN("X: y\nDelivered-To: A@b\n\n"), SPAN("a@B")));
	CHECK(!header_has_delivered_to(SPAN("X: y\n\nDelivered-To: A@b\n"), SPAN("a@B")));
	buf_done(&out);
}

/* Adds "@m.test" to what has no domain, takes a trailing dot away, turns x!y into y@x. */
static enum addr_change complete(void *context UNUSED, struct span internal, struct buf *out)
{
	struct span host, user;

	if (span_cut(internal, '!', &host, &user)) {
		buf_add(out, user);
		buf_char(out, '@');
		buf_add(out, host);
	} else if (!span_has(internal, '@')) {
		buf_add(out, internal);
		buf_text(out, "@mail.example.test");
	} else if (span_ends(internal, SPAN("."))) {
		buf_add(out, span_first(internal, internal.n - 1));
	} else {
		return ADDR_KEEP;
	}
	return ADDR_REPLACE;
}

/* What Postfix makes of these, except that spacing and the place of comments stay here. */
static const char *const rewrite_cases[][2] = {
	{ "bob", "bob@mail.example.test" },
	{ "bob (Bob), Carol <carol@host>", "bob@mail.example.test (Bob), Carol <carol@host>" },
	{ "Group: a, b;", "Group: a@mail.example.test, b@mail.example.test;" },
	{ "Group: a, b@x.test;, c", "Group: a@mail.example.test, b@x.test;, c@mail.example.test" },
	{ "\"Quoted, Name\" <old>", "\"Quoted, Name\" <old@mail.example.test>" },
	{ "(comment) old", "(comment) old@mail.example.test" },
	{ "Name (c) <old>", "Name (c) <old@mail.example.test>" },
	{ "<>", NULL },
	{ "<a@d.test>", NULL },
	{ "undisclosed-recipients:;", NULL },
	{ "\"a b\"@d.test", NULL },
	{ "a @ d.test", NULL },
	{ "a(x)@(y)d.test", NULL },
	{ "a b", "a@mail.example.test, b@mail.example.test" },
	{ "a b@d.test", "a@mail.example.test, b@d.test" },
	{ "Joe Q. Public <joe>", "Joe Q. Public <joe@mail.example.test>" },
	{ "Joe <joe> (c)", "Joe <joe@mail.example.test> (c)" },
	{ "a, , b", "a@mail.example.test, , b@mail.example.test" },
	{ "<@r.test:a.@d.test.>", "<\"a.\"@d.test>" },
	{ "<@r.test,@s.test:a>", "<a@mail.example.test>" },
	{ "@r.test:a", "a@mail.example.test" },
	{ "x!y", "y@x" },
	{ "a <b> c", "a <b@mail.example.test>, c@mail.example.test" },
	{ "a <b> <c>", "a <b@mail.example.test> <c@mail.example.test>" },
	{ "a:b", "\"a:b\"@mail.example.test" },
	{ "=?utf-8?q?=40?= <a>", "=?utf-8?q?=40?= <a@mail.example.test>" },
	{ "J\xc3\xbcrgen \xc3\xa9@d.test", "J\xc3\xbcrgen@mail.example.test, \xc3\xa9@d.test" },
	{ "a@d.test (esc \\) x), b", "a@d.test (esc \\) x), b@mail.example.test" },
	{ "a (n (e, s) t) , b", "a@mail.example.test (n (e, s) t) , b@mail.example.test" },
	{ "(unterminated a@d.test", NULL },
	{ "a..b", "\"a..b\"@mail.example.test" },
	{ "a@d.test.", "a@d.test" },
	{ "Name<a>", "Name<a@mail.example.test>" },
	{ "Group: <a>, <b>; x",
	  "Group: <a@mail.example.test>,\n\t<b@mail.example.test>; x@mail.example.test" },
	{ "a@d.test,\n\tb@d.test", NULL },
	{ "\"a\n b\" <a>", "\"a\n b\" <a@mail.example.test>" },
	{ "x, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb@d.test",
	  "x@mail.example.test, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb@d.test" },
	{ "x, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb@d.test",
	  "x@mail.example.test,\n\tbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb@d.test" },
	{ "x, y, bbbbbbbbbbbbbbb@d.test, z@d.test",
	  "x@mail.example.test, y@mail.example.test, bbbbbbbbbbbbbbb@d.test,\n\tz@d.test" },
	{ "x, y, bbbbbbbbbbbbbbbb@d.test, z@d.test",
	  "x@mail.example.test, y@mail.example.test,\n\tbbbbbbbbbbbbbbbb@d.test, z@d.test" },
};

static void test_rewrite(void)
{
	struct buf out = BUF_INIT(10000);

	for (size_t i = 0; i < ARRAY_LEN(rewrite_cases); i++) {
		struct buf value = BUF_INIT(10000);
		const char *want = rewrite_cases[i][1];
		enum addr_rewrite_status status;

		buf_printf(&value, " %s", rewrite_cases[i][0]);
		buf_reset(&out);
		status = addr_list_rewrite(&out, buf_span(&value), 3, "\n", complete, NULL);
		CHECK_INT(status, want != NULL ? ADDR_REWRITE_CHANGED : ADDR_REWRITE_SAME);
		if (want != NULL)
			CHECK_SPAN(span_from(buf_span(&out), 1), want);
		else
			CHECK_INT(buf_span(&out).n, 0);
		buf_done(&value);
	}
	buf_done(&out);
}

/* What sendmail -t extracts, addresses joined with "|". */
static const char *const extract_cases[][2] = {
	{ "bob (Bob), Carol <carol@host>", "bob|carol@host" },
	{ "Group: a, b@x.test;, c", "a|b@x.test|c" },
	{ "<>", "" },
	{ "\"a b\"@d.test", "a b@d.test" },
	{ "a b@d.test", "a|b@d.test" },
	{ "<@r.test:a@d.test>", "a@d.test" },
	{ "@r.test,@s.test:a@d.test", "@r.test|a@d.test" },
	{ "a@ d . test", "a@d.test" },
	{ "a(x)@(y)d.test", "a@d.test" },
	{ "Group:a;b", "a|b" },
	{ "a <b> <c>", "b|c" },
	{ "<a b@d.test>", "ab@d.test" },
	{ "(unterminated a@d.test", "" },
	{ "a\\ b@d.test", "a b@d.test" },
	{ "\"x\r\n y\"@d.test", "x y@d.test" },
	{ "Name\n\t<a>", "a" },
	{ "a@b@c", "a@b@c" },
};

static void test_extract(void)
{
	struct buf out = BUF_INIT(10000);

	for (size_t i = 0; i < ARRAY_LEN(extract_cases); i++) {
		struct addr_list list;
		struct addr_item item;

		buf_reset(&out);
		addr_list_init(&list, span_of(extract_cases[i][0]));
		while (addr_list_next(&list, &item)) {
			size_t before = buf_span(&out).n;

			if (before > 0)
				buf_char(&out, '|');
			addr_item_internal(&out, &item);
		}
		CHECK_SPAN(buf_span(&out), extract_cases[i][1]);
	}
	buf_done(&out);
}

/* Time stays linear: a quadratic reader would need minutes for these. */
static void test_hostile_lists(void)
{
	static const char *const units[] = { "(",  "a ",  "a:", "a:;",    "<",
					     "\"", "@a:", ",",  "a <b> ", "[" };
	struct buf text = BUF_INIT(2000000), out = BUF_INIT(20000000);

	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		clock_t start = clock();

		buf_reset(&text);
		buf_reset(&out);
		while (buf_span(&text).n < 300000)
			buf_text(&text, units[i]);
		(void)addr_list_rewrite(&out, buf_span(&text), 3, "\n", complete, NULL);
		CHECK(clock() - start < CLOCKS_PER_SEC);
	}
	buf_done(&text);
	buf_done(&out);
}

static void test_dates(void)
{
	struct clock_wall when = { 1795300901LL * 1000000 };
	char text[DATE_SIZE];

	setenv("TZ", "UTC", 1);
	tzset();
	CHECK_SPAN(date_rfc5322(when, text), "Sat, 21 Nov 2026 22:41:41 +0000 (UTC)");
	CHECK_SPAN(date_ctime(when, text), "Sat Nov 21 22:41:41 2026");
	setenv("TZ", "XYZ3:30", 1);
	tzset();
	CHECK_SPAN(date_rfc5322((struct clock_wall){ 0 }, text),
		   "Wed, 31 Dec 1969 20:30:00 -0330 (XYZ)");
}

int main(void)
{
	TEST(names);
	TEST(table);
	TEST(walk);
	TEST(rewrite);
	TEST(extract);
	TEST(hostile_lists);
	TEST(dates);
	return test_end();
}
