/* SPDX-License-Identifier: MIT */
/* lib/conf: expansion, values, per-transport settings, the snapshot, master.cf. */

#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "conf/master_cf.h"
#include "conf/snapshot.h"

static void expand(const char *text, const char *want)
{
	struct conf_dict dict = { 0 };
	struct conf_scope scope = { .main = &dict, .config_directory = "/etc/x" };
	struct buf value = BUF_INIT(CONF_VALUE_MAX);
	char error[CONF_EXPAND_ERROR_MAX];

	conf_dict_parse(&dict,
			SPAN("compatibility_level=3.6\nx=1\nloop1=$loop2\nloop2=a$loop1\n"
			     "y = <$x>\n"),
			NULL);
	for (int i = 0; i < 40; i++) {
		char name[20], twice[40];

		snprintf(name, sizeof(name), "twice%d", i);
		snprintf(twice, sizeof(twice), "$twice%d$twice%d", i + 1, i + 1);
		conf_dict_set(&dict, span_of(name), span_of(twice), 0, NULL);
	}
	if (!conf_expand(&scope, span_of(text), &value, error, NULL, NULL))
		buf_set(&value, SPAN("ERROR"));
	if (strcmp(buf_str(&value), want) != 0)
		printf("# for %s\n", text);
	CHECK_STR(buf_str(&value), want);
	buf_done(&value);
	conf_dict_done(&dict);
}

static void test_expand(void)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "[$x] [${x}] [$(x)] [${ x }] $$x", "[1] [1] [1] [1] $x" },
		{ "[$y] [$x-y] [$x.y] [$x_y]", "[<1>] [1-y] [1.y] []" },
		{ "[${x?a b }] [${x?a:b}] [${x:{a}}] [${nn:$x}] [${nn?{a}}]",
		  "[a b ] [a:b] [] [1] []" },
		{ "[${x?{ a }:{b}}] [${nn ? {a} : {b}}] [${x?{a}:b}] [${nn?{a}:b}]",
		  "[ a ] [b] [a] [b]" },
		{ "${x?{${x?{i}:{j}}}:{b}}", "i" },
		{ "${{a b} == {a b} ? {c}}${{ a } == {a} ? {c} : {d}}", "cd" },
		{ "${{10} > {9} ? {c} : {d}}${{b} > {a} ? {c} : {d}}${{a} != {a} ? {c} : {d}}",
		  "ccd" },
		{ "${{3.6} <level {3.10} ? {T} : {F}}${{3.6} >=level {3.10} ? {T} : {F}}", "TF" },
		{ "${{$compatibility_level} >=level {3.6} ? {T} : {F}}", "T" },
		{ "${{1} ==level {1.0.0} ? {T} : {F}}", "T" },
		{ "$mail_name $config_directory", "Postern /etc/x" },
		{ "$loop1", "ERROR" },
		{ "${x", "ERROR" },
		{ "$", "ERROR" },
		{ "$-", "ERROR" },
		{ "${x?{a} b}", "ERROR" },
		{ "${{a} ? {c} : {d}}", "ERROR" },
		{ "${{3.a} <level {3.10} ? {x} : {y}}", "ERROR" },
		{ "${a-b?c}", "ERROR" },
		{ "$twice0", "ERROR" }, /* 2^40 empty values */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expand(cases[i].text, cases[i].want);
}

static void test_time(void)
{
	int64_t value = 0;

	CHECK(conf_time_parse(SPAN("5m"), 1, &value) && value == 300);
	CHECK(conf_time_parse(SPAN("2"), 3600, &value) && value == 7200);
	CHECK(conf_time_parse(SPAN("3w"), 1, &value) && value == 3 * 604800);
	CHECK(!conf_time_parse(SPAN("5x"), 1, &value));
	CHECK(!conf_time_parse(SPAN("s"), 1, &value));
	CHECK(!conf_time_parse(SPAN("99999999w"), 1, &value));
	CHECK(!conf_time_parse(SPAN(""), 1, &value));
}

static void test_defaults(void)
{
	CHECK(conf_load_text(SPAN("compatibility_level = 3.6\n")));
	CHECK_INT(conf->smtpd_timeout, 300);
	CHECK_INT(conf->message_size_limit, 10240000);
	CHECK_INT(conf->maximal_queue_lifetime, 5 * 86400);
	CHECK_STR(conf->twobounce_notice_recipient, "postmaster");
	CHECK_STR(conf->syslog_name, "postfix");
	CHECK_STR(conf->smtp_helo_name, conf->myhostname);
	CHECK_STR(conf->mynetworks_style, "host");
	CHECK(conf->soft_bounce == false && conf->smtputf8_enable);
	conf_set_stress(true);
	CHECK_INT(conf->smtpd_timeout, 10);
	CHECK_INT(conf->smtpd_hard_error_limit, 1);
	CHECK(conf->smtpd_per_request_deadline);
	conf_set_stress(false);
}

/* Every default must fit its type and bounds, at the oldest and the newest level. */
static void test_every_default(void)
{
	CHECK(conf_load_text(SPAN("")));
	CHECK(conf_load_text(SPAN("compatibility_level = 3.11\n")));
	CHECK_STR(conf->smtp_tls_security_level, "may");
}

static void test_transport(void)
{
	CHECK(conf_load_text(SPAN("slow_destination_rate_delay = 2m\n"
				  "default_destination_concurrency_limit = 7\n"
				  "smtp_destination_concurrency_limit = 3\n"
				  "command_time_limit = 9s\nx_time_limit = 8\n"
				  "x_destination_concurrency_negative_feedback = 1/sqrt(concurrency)\n")));
	CHECK_INT(conf_transport_time("slow", "destination_rate_delay"), 120);
	CHECK_INT(conf_transport_time("fast", "destination_rate_delay"), 0);
	CHECK_INT(conf_transport_count("slow", "destination_concurrency_limit"), 7);
	CHECK_INT(conf_transport_count("smtp", "destination_concurrency_limit"), 3);
	CHECK_INT(conf_transport_count("local", "destination_concurrency_limit"), 2);
	CHECK_INT(conf_transport_count("local", "destination_recipient_limit"), 1);
	CHECK_INT(conf_transport_time("x", "time_limit"), 8);
	CHECK_INT(conf_transport_time("y", "time_limit"), 9);
	CHECK_STR(conf_transport_text("x", "destination_concurrency_negative_feedback"),
		  "1/sqrt(concurrency)");
	CHECK_STR(conf_transport_text("y", "destination_concurrency_negative_feedback"), "1");
}

static char last_problem[500];

static void keep_problem(void *context, const struct conf_problem *problem)
{
	(void)context;
	snprintf(last_problem, sizeof(last_problem), "%s", conf_problem_text(problem));
}

static void test_bad_values(void)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{ "\n\nipc_timeout = 5x\n",
		  "main.cf, line 3: ipc_timeout: bad value \"5x\", expected a time such as 30s, 5m, "
		  "2h, 1d or 3w (without a letter: seconds), in seconds, at least 1" },
		{ "soft_bounce = maybe\n",
		  "main.cf, line 1: soft_bounce: bad value \"maybe\", expected yes or no" },
		{ "reject_code = 99",
		  "main.cf, line 1: reject_code: bad value \"99\", expected a whole number from 200 to "
		  "599" },
		{ "smtpd_tls_security_level = mya",
		  "main.cf, line 1: smtpd_tls_security_level: bad value \"mya\", expected one of: "
		  "(empty) none may encrypt" },
		{ "always_bcc = $always_bcc",
		  "main.cf, line 1: always_bcc: parameters that refer to each other at "
		  "\"$always_bcc\" in \"$always_bcc\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct conf_dict dict = { 0 };
		struct conf_report report = { .report = keep_problem };
		struct conf_scope scope = { .main = &dict, .config_directory = "/" };

		last_problem[0] = '\0';
		conf_dict_parse(&dict, span_of(cases[i].text), &report);
		conf_evaluate(&scope, CONF_EVERYBODY, &report, NULL, NULL);
		CHECK_INT(report.errors, 1);
		CHECK_STR(last_problem, cases[i].problem);
		conf_dict_done(&dict);
	}
}

static void test_snapshot(void)
{
	struct conf_dict dict = { 0 }, overrides = { 0 };
	struct conf_report report = { 0 };
	struct conf_scope scope = {
		.main = &dict, .overrides = &overrides, .config_directory = "/etc/y",
	};
	struct conf_snapshot *snapshot;
	struct span extra;
	int fd;

	conf_dict_parse(&dict, SPAN("smtpd_timeout = ${stress?{5}:{50}}s\nmua = permit, $z\nz=reject\n"
				    "smtpd_restriction_classes = mua\nsecret_password = x\n"
				    "smtp_helo_name = s\nlmtp_lhlo_name = l\n"
				    "mailbox_size_limit = 77\n"), &report);
	conf_dict_set(&overrides, SPAN("smtpd_banner"), SPAN("hi $myhostname"), 0, NULL);
	conf_dict_set(&overrides, SPAN("myhostname"), SPAN("h.test"), 0, NULL);
	snapshot = conf_snapshot_new(&scope, CONF_SMTPD, &report);
	conf_snapshot_extra_set(snapshot, "service", SPAN("smtp/inet"));
	fd = conf_snapshot_write(snapshot);
	conf_snapshot_free(snapshot);
	CHECK(fd >= 0 && report.errors == 0);
	CHECK_STR(conf_snapshot_load(fd, false), NULL);
	CHECK_STR(conf->smtpd_banner, "hi h.test");
	CHECK_STR(conf->config_directory, "/etc/y");
	CHECK_INT(conf->smtpd_timeout, 50);
	conf_set_stress(true);
	CHECK_INT(conf->smtpd_timeout, 5);
	conf_set_stress(false);
	CHECK_STR(conf_user("mua"), "permit, reject");
	CHECK_STR(conf_user("secret_password"), NULL);
	CHECK_INT(conf->mailbox_size_limit, 51200000);
	CHECK(conf_snapshot_extra_get("service", &extra));
	CHECK_SPAN(extra, "smtp/inet");
	CHECK(!conf_snapshot_extra_get("nothing", &extra));
	close(fd);

	snapshot = conf_snapshot_new(&scope, CONF_SMTP, &report);
	fd = conf_snapshot_write(snapshot);
	CHECK_STR(conf_snapshot_load(fd, false), NULL);
	CHECK_STR(conf->smtp_helo_name, "s");
	CHECK_STR(conf->smtp_tcp_port, "smtp");
	CHECK_STR(conf_snapshot_load(fd, true), NULL);
	CHECK_STR(conf->smtp_helo_name, "l");
	CHECK_STR(conf->smtp_tcp_port, "24");
	close(fd);
	conf_snapshot_free(snapshot);
	conf_dict_done(&dict);
	conf_dict_done(&overrides);
}

static void test_snapshot_damage(void)
{
	struct conf_scope scope = { .config_directory = "/" };
	struct conf_snapshot *snapshot = conf_snapshot_new(&scope, CONF_QMGR, NULL);
	int fd = conf_snapshot_write(snapshot);
	static char bytes[65536];
	ssize_t size = read(fd, bytes, sizeof(bytes));

	CHECK(size > 0 && size < (ssize_t)sizeof(bytes));
	CHECK_STR(conf_snapshot_parse((struct span){ bytes, (size_t)size }, false), NULL);
	for (ssize_t cut = 0; cut < size; cut++)
		CHECK(conf_snapshot_parse((struct span){ bytes, (size_t)cut }, false) != NULL);
	close(fd);
	conf_snapshot_free(snapshot);
}

static void test_nearest(void)
{
	CHECK_STR(conf_param_nearest(SPAN("relay_host")), "relayhost");
	CHECK_STR(conf_param_nearest(SPAN("mynetwork")), "mynetworks");
	CHECK_STR(conf_param_nearest(SPAN("smtpd_tls_securtiy_level")), "smtpd_tls_security_level");
	CHECK_STR(conf_param_nearest(SPAN("something_else")), NULL);
}

static void test_master_cf(void)
{
	struct master_cf table = { 0 };
	struct conf_report report = { .report = keep_problem };
	struct master_service *service;

	master_cf_parse(&table,
			SPAN("# comment\nsmtp inet n - y - - smtpd\n  -o a=b\n# inside\n\n"
			     "\t-o { c = d e } -v\n"
			     "flush unix n - n 1000? 0 flush\n"
			     "x unix - n n - 3 pipe flags=R argv=/bin/x -o y { a b }\n"
			     "smtp inet n - n - 5 postscreen\n"),
			&report);
	CHECK_INT(table.count, 4);
	CHECK_INT(report.errors, 0);
	CHECK(table.services[0]->is_replaced);
	CHECK_STR(conf_dict_get(&table.services[0]->overrides, SPAN("c"))->value, "d e");
	CHECK_INT(table.services[0]->argc, 1);
	CHECK_INT(table.services[0]->line, 2);
	CHECK_INT(table.services[0]->chroot, MASTER_YES);
	CHECK_INT(table.services[0]->maxproc, MASTER_MAXPROC_DEFAULT);
	service = master_cf_find(&table, SPAN("flush"), SPAN("unix"));
	CHECK(service != NULL && service->wakeup_on_use && service->wakeup_seconds == 1000);
	service = master_cf_find(&table, SPAN("x"), SPAN("unix"));
	CHECK_INT(service->argc, 5);
	CHECK_STR(service->argv[4], "a b");
	CHECK_INT(service->overrides.count, 0);
	CHECK_STR(master_cf_find(&table, SPAN("smtp"), SPAN("inet"))->command, "postscreen");
	master_cf_done(&table);
}

static void test_master_cf_errors(void)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{ "a unixx - - - - - c",
		  "master.cf, line 1: bad service type \"unixx\", expected inet, unix, fifo, "
		  "unix-dgram or pass" },
		{ "a unix - - - -",
		  "master.cf, line 1: service has no process_limit column, expected: service type "
		  "private unprivileged chroot wakeup process_limit command [arguments]" },
		{ "\na unix q - - - - c",
		  "master.cf, line 2: bad private column \"q\", expected y, n or -" },
		{ "a unix - - - x - c",
		  "master.cf, line 1: bad wakeup time \"x\", expected a number of seconds, n? or -" },
		{ "a unix - - - - x c",
		  "master.cf, line 1: bad process limit \"x\", expected a number, 0 for no limit, or "
		  "-" },
		{ "a unix - - - - - c -o { a",
		  "master.cf, line 1: bad argument \"{ a\", expected a closing } and then a blank" },
		{ "a unix - - - - - c -o a",
		  "master.cf, line 1: bad -o option \"a\", expected name=value or { name = value }" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct master_cf table = { 0 };
		struct conf_report report = { .report = keep_problem };

		master_cf_parse(&table, span_of(cases[i].text), &report);
		CHECK_INT(report.errors, 1);
		CHECK_INT(table.count, 0);
		CHECK_STR(last_problem, cases[i].problem);
		master_cf_done(&table);
	}
}

int main(void)
{
	TEST(expand);
	TEST(time);
	TEST(defaults);
	TEST(every_default);
	TEST(transport);
	TEST(bad_values);
	TEST(snapshot);
	TEST(snapshot_damage);
	TEST(nearest);
	TEST(master_cf);
	TEST(master_cf_errors);
	return test_end();
}
