/* SPDX-License-Identifier: MIT */
/*
 * main.cf: parsing, expansion and checks of whatever it sets; as a file it sets the same; and what master
 * makes of it for a service, the service can read.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "conf/check.h"
#include "conf/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_problem(void *context, const struct conf_problem *problem)
{
	int *count = context;

	*count += conf_problem_text(problem)[0] != '\0';
}

static void check_file(struct span text, const struct conf_dict *expected)
{
	struct conf_dict dict = { 0 };
	int fd = memfd_create("main.cf", MFD_CLOEXEC);
	char path[40];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || !fd_write_all(fd, text) || !conf_dict_read(&dict, path, NULL) ||
	    dict.count != expected->count)
		abort();
	for (size_t i = 0; i < dict.count; i++)
		if (!span_is(span_of(dict.settings[i]->name), expected->settings[i]->name) ||
		    !span_is(span_of(dict.settings[i]->value), expected->settings[i]->value) ||
		    dict.settings[i]->line != expected->settings[i]->line)
			abort();
	conf_dict_done(&dict);
	(void)close(fd);
}

/* `extra` is what master adds under a name of its own. */
static void check_snapshot(const struct conf_scope *scope, enum conf_program program, struct span extra)
{
	struct conf_snapshot *snapshot = conf_snapshot_new(scope, program, NULL);
	struct span found;
	int fd;

	conf_snapshot_extra_set(snapshot, "extra", extra);
	fd = conf_snapshot_write(snapshot);
	for (int is_lmtp = 0; is_lmtp < 2; is_lmtp++)
		if (fd < 0 || conf_snapshot_load(fd, is_lmtp != 0) != NULL ||
		    !conf_snapshot_extra_get("extra", &found) || !span_eq(found, extra) ||
		    conf_snapshot_extra_get("other", &found))
			abort();
	(void)close(fd);
	conf_snapshot_free(snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	int problems = 0;
	struct conf_dict dict = { 0 };
	struct conf_report report = { .report = take_problem, .context = &problems };
	struct conf_scope scope = { .main = &dict, .config_directory = "/etc/postern" };
	struct conf_usage usage;

	conf_dict_parse(&dict, text, &report);
	conf_evaluate(&scope, CONF_EVERYBODY, &report, NULL, NULL);
	conf_evaluate_named(&scope, CONF_EVERYBODY, &report, NULL, NULL);
	conf_usage_init(&usage, &dict, NULL);
	conf_usage_report(&usage, true, true, &report);
	conf_usage_done(&usage);
	if (problems < report.errors)
		abort();
	check_file(text, &dict);
	check_snapshot(&scope, size % 2 != 0 ? CONF_SMTP : CONF_SMTPD, text);
	conf_dict_done(&dict);
	return 0;
}
