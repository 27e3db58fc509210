/* SPDX-License-Identifier: MIT */
/*
 * How a command gets its configuration. Commands run as whoever calls them, postdrop and
 * postqueue set-gid: the environment and option -c come from an untrusted user then, and may
 * only choose a directory that the administrator listed (alternate_config_directories).
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/load.h"

/* "name=value" texts of conf_override(). */
static struct conf_dict overrides;

static void log_problem(void *context, const struct conf_problem *problem)
{
	(void)context;
	if (problem->severity == CONF_IS_ERROR)
		fatal("%s", conf_problem_text(problem));
	if (problem->severity == CONF_IS_WARNING)
		log_warn("%s", conf_problem_text(problem));
}

static void read_main(const char *directory, struct conf_dict *dict, struct conf_report *report)
{
	char *path = mem_printf("%s/main.cf", directory);

	if (!conf_dict_read(dict, path, report))
		fatal("open %s: %s", path, strerror(errno));
	free(path);
}

static bool lists_directory(const struct conf_scope *scope, struct span list, const char *directory)
{
	struct buf value = BUF_INIT(CONF_VALUE_MAX);
	char error[CONF_EXPAND_ERROR_MAX];
	struct span rest, word;
	bool is_listed = false;

	if (conf_expand(scope, list, &value, error, NULL, NULL)) {
		rest = buf_span(&value);
		while (!is_listed && (word = span_word(&rest, " ,\t\r\n")).n > 0)
			is_listed = span_is(word, directory);
	}
	buf_done(&value);
	return is_listed;
}

static void check_listed(const char *directory)
{
	struct conf_dict dict = { 0 };
	struct conf_report report = { .report = log_problem };
	struct conf_scope scope = { .main = &dict, .config_directory = POSTERN_CONFIG_DIRECTORY };

	read_main(POSTERN_CONFIG_DIRECTORY, &dict, &report);
	if (!lists_directory(&scope, SPAN("$alternate_config_directories"), directory) &&
	    !lists_directory(&scope, SPAN("$multi_instance_directories"), directory))
		fatal("unauthorized configuration directory name: %s; "
		      "specify \"alternate_config_directories = %s\" in %s/main.cf",
		      log_clean_str(directory), log_clean_str(directory), POSTERN_CONFIG_DIRECTORY);
	conf_dict_done(&dict);
}

const char *conf_directory(const char *directory)
{
	const char *from_environment = getenv("MAIL_CONFIG");

	if (directory == NULL && from_environment != NULL && from_environment[0] != '\0')
		directory = from_environment;
	if (directory == NULL || strcmp(directory, POSTERN_CONFIG_DIRECTORY) == 0)
		return POSTERN_CONFIG_DIRECTORY;
	if (getauxval(AT_SECURE) != 0 && getuid() != 0)
		check_listed(directory);
	return directory;
}

static void take_value(void *context, const struct conf_param *param, struct span value,
		       bool is_stressed)
{
	(void)context;
	if (!conf_values_set(param, value, is_stressed, false))
		panic("value of %s was checked and does not fit", param->name);
}

static void take_named(void *context, struct span name, struct span value)
{
	(void)context;
	conf_values_set_named(name, value);
}

void conf_override(const char *setting)
{
	struct span name, value;
	const char *problem = conf_assignment_parse(span_of(setting), &name, &value);

	if (problem != NULL)
		fatal("%s: %s", log_clean_str(setting), problem);
	conf_dict_set(&overrides, name, value, 0, NULL);
}

void conf_load_command(const char *directory)
{
	const uint32_t commands = 1u << CONF_COMMAND;
	struct conf_dict dict = { 0 };
	struct conf_report report = { .report = log_problem }, nobody = { 0 };
	struct conf_scope scope = { .main = &dict, .process_name = program_invocation_short_name,
				    .overrides = overrides.count > 0 ? &overrides : NULL };

	scope.config_directory = conf_directory(directory);
	if (setenv("MAIL_CONFIG", scope.config_directory, 1) != 0)
		fatal("setenv: %s", strerror(errno));
	read_main(scope.config_directory, &dict, &report);
	conf_values_reset();
	/* A value that only some daemon uses may be bad without stopping commands. */
	conf_evaluate(&scope, ~commands, &nobody, take_value, NULL);
	conf_evaluate(&scope, commands, &report, take_value, NULL);
	conf_evaluate_named(&scope, CONF_EVERYBODY, &nobody, take_named, NULL);
	conf_dict_done(&dict);
}
