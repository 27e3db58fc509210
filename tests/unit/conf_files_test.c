/* SPDX-License-Identifier: MIT */
/* lib/conf: settings without effect, notice templates, changing files; lib/base/json. */

#include "test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "conf/check.h"
#include "conf/edit.h"
#include "conf/template.h"

static char problems[4000];

static void add_problem(void *context, const struct conf_problem *problem)
{
	size_t length = strlen(problems);

	(void)context;
	snprintf(problems + length, sizeof(problems) - length, "%s\n", conf_problem_text(problem));
}

static void test_unused(void)
{
	struct conf_dict main = { 0 };
	struct master_cf services = { 0 };
	struct conf_report report = { .report = add_problem };
	struct conf_usage usage;

	conf_dict_parse(&main,
			SPAN("used = 1\nuser = $used\nmua = permit\nsmtpd_restriction_classes = mua\n"
			     "relay_host = x\nslow_time_limit = 5\nfast_time_limit = 5\n"
			     "virtual_alias_maps = proxy:ldap:acc, ldap:/etc/x\nacc_bind_pw = y\n"
			     "other = z\nin_service = 2\nfallback_relay = b\n"),
			NULL);
	master_cf_parse(&services,
			SPAN("slow unix - - - - - pipe argv=x\nfast unix - - - - - smtp\n"
			     "smtp inet n - - - - smtpd -o relayhost=$in_service -o odd=1\n"),
			NULL);
	conf_usage_init(&usage, &main, &services);
	problems[0] = '\0';
	conf_usage_report(&usage, true, true, &report);
	CHECK_STR(problems,
		  "main.cf, line 2: unused parameter: user=$used\n"
		  "main.cf, line 5: unused parameter: relay_host=x (did you mean relayhost?)\n"
		  "main.cf, line 7: unused parameter: fast_time_limit=5\n"
		  "main.cf, line 10: unused parameter: other=z\n"
		  "main.cf, line 12: support for parameter \"fallback_relay\" will be removed; "
		  "instead, specify \"smtp_fallback_relay\"\n"
		  "master.cf, line 3: unused parameter: odd=1\n");
	CHECK_INT(conf_usage_class(&usage, SPAN("acc_bind_pw")), CONF_CLASS_USER);
	CHECK_INT(conf_usage_class(&usage, SPAN("slow_time_limit")), CONF_CLASS_SERVICE);
	CHECK_INT(conf_usage_class(&usage, SPAN("relayhost")), CONF_CLASS_BUILTIN);
	conf_usage_done(&usage);
	conf_dict_done(&main);
	master_cf_done(&services);
}

/* The snapshot has two bytes for the length of a name. */
static void test_long_names(void)
{
	static const size_t sizes[] = { CONF_NAME_MAX, CONF_NAME_MAX + 1, 70000 };
	struct span name, value;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct buf text = BUF_INIT(100000);

		for (size_t n = 0; n < sizes[i]; n++)
			buf_char(&text, 'a');
		buf_add(&text, SPAN(" = x"));
		CHECK((conf_assignment_parse(buf_span(&text), &name, &value) == NULL) == (i == 0));
		buf_done(&text);
	}
}

static void test_templates(void)
{
	struct conf_dict main = { 0 };
	struct conf_scope scope = { .main = &main, .config_directory = "/" };
	struct conf_report report = { .report = add_problem };
	struct buf text = BUF_INIT(10000);
	char error[CONF_EXPAND_ERROR_MAX];
	struct conf_templates templates;

	conf_templates_init(&templates);
	problems[0] = '\0';
	conf_dict_parse(&main, SPAN("myhostname = h.test\ndelay_warning_time = 90m\n"), NULL);
	conf_templates_parse(&templates,
			     SPAN("# x\n\ndelay_template = <<END\nsubject: Late\n\n"
				  "  $myhostname $$ $delay_warning_time_minutes "
				  "$maximal_queue_lifetime_days\nEND\n"
				  "verify_template = <<E\nBad: x\n\ny\nE\n"),
			     "f", &report);
	CHECK_STR(templates.list[CONF_TEMPLATE_DELAY].subject, "Late");
	CHECK(conf_template_expand(&templates.list[CONF_TEMPLATE_DELAY], &scope, &text, error));
	CHECK_STR(buf_str(&text), "  h.test $ 90 5\n");
	CHECK_STR(templates.list[CONF_TEMPLATE_VERIFY].subject, "Mail Delivery Status Report");
	CHECK_STR(problems, "f, line 9: unknown header, expected Charset, From, Subject or "
			    "Postmaster-Subject: \"Bad: x\"\n");
	buf_done(&text);
	conf_templates_done(&templates);
	conf_dict_done(&main);
}

static void test_edit(void)
{
	char directory[] = "/tmp/conf_edit_XXXXXX", path[100], temp[110];
	struct conf_edit edit;
	struct buf text;
	struct stat st;
	FILE *file;

	CHECK(mkdtemp(directory) != NULL);
	snprintf(path, sizeof(path), "%s/main.cf", directory);
	snprintf(temp, sizeof(temp), "%s.tmp", path);
	file = fopen(path, "w");
	CHECK(file != NULL && fputs("old\n", file) >= 0 && fclose(file) == 0);
	CHECK(chmod(path, 0640) == 0);
	CHECK(conf_edit_begin(&edit, path));
	CHECK_SPAN(buf_span(&edit.text), "old\n");
	CHECK(conf_edit_commit(&edit, SPAN("new\n")));
	CHECK(conf_file_read(path, &text));
	CHECK_SPAN(buf_span(&text), "new\n");
	buf_done(&text);
	CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0640);
	CHECK(conf_edit_begin(&edit, path));
	conf_edit_cancel(&edit);
	CHECK(access(temp, F_OK) != 0);
	CHECK(unlink(path) == 0 && rmdir(directory) == 0);
	CHECK(!conf_edit_begin(&edit, path));
}

static void test_json(void)
{
	struct buf buf = BUF_INIT(1000);

	buf_char(&buf, '{');
	CHECK(json_member(&buf, "a", SPAN("x\"\\\n\t\001\xc3\xa4\xff")));
	CHECK(json_member(&buf, "b", SPAN("")));
	CHECK_STR(buf_str(&buf), "{\"a\": \"x\\\"\\\\\\n\\t\\u0001\xc3\xa4\\ufffd\", \"b\": \"\"");
	buf_done(&buf);
}

int main(void)
{
	TEST(unused);
	TEST(long_names);
	TEST(templates);
	TEST(edit);
	TEST(json);
	return test_end();
}
