/* SPDX-License-Identifier: MIT */
/* Templates of notifications: files as bounce(5) has them, and expansion. */

#include "conf/load.h"
#include "services/bounce/template.c"
#include "test.h"

static void expect(enum template_kind kind, const char *want)
{
	struct buf text = BUF_INIT(100000);

	template_expand(template_get(kind), &text);
	CHECK_STR(buf_str(&text), want);
	buf_done(&text);
}

static void test_builtin(void)
{
	struct buf text = BUF_INIT(100000);

	template_expand(template_get(TEMPLATE_DELAY), &text);
	CHECK(strstr(buf_str(&text), "more than 4 hour(s)") != NULL);
	CHECK(strstr(buf_str(&text), "\n5 day(s) old") != NULL);
	CHECK(strstr(buf_str(&text), "host mx.example.test ") != NULL);
	buf_done(&text);
}

static void test_file(void)
{
	template_load("bounce.cf", SPAN("# comment\n"
					"\n"
					"failure_template = <<EOF\n"
					"charset: utf-8\n"
					"Subject: own words\n"
					"\n"
					"host $myhostname, ${delay_warning_time_minutes}, $$5, $nosuch,\n"
					" EOFX $(myhostname) $ end\n"
					"EOF\n"
					"success_template = <<XX\n"
					"\n"
					"fine\n"
					"XX\n"));
	CHECK_STR(template_get(TEMPLATE_FAILURE)->subject, "own words");
	CHECK_STR(template_get(TEMPLATE_FAILURE)->charset, "utf-8");
	expect(TEMPLATE_FAILURE, "host mx.example.test, 240, $5, $nosuch,\n"
				 " EOFX mx.example.test $ end\n");
	expect(TEMPLATE_SUCCESS, "fine\n");
}

/* What is wrong leaves the template that was there. */
static void test_bad(void)
{
	static const char *const rows[] = {
		"verify_template = <<EOF\nno header\n\nx\nEOF\n",
		"verify_template = <<EOF\nReply-To: x\n\nx\nEOF\n",
		"verify_template = <<EOF\n\nnever ends\n",
		"verify_template = text\n",
		"other_template = <<EOF\n\nx\nEOF\n",
	};
	const char *before = template_get(TEMPLATE_VERIFY)->text;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		template_load("bounce.cf", span_of(rows[i]));
	CHECK(template_get(TEMPLATE_VERIFY)->text == before);
}

int main(void)
{
	CHECK(conf_load_text(SPAN("myhostname = mx.example.test\ndelay_warning_time = 4h\n")));
	TEST(builtin);
	TEST(file);
	TEST(bad);
	return test_end();
}
