/* SPDX-License-Identifier: MIT */
/*
 * postconf(1): shows and changes the configuration. Run by anybody with their own privilege;
 * reads main.cf and master.cf, and writes them for who may.
 */

#include "postconf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

/* The options as they are parsed, beside what is in struct postconf. */
struct options {
	const char *directory; /* -c */
	char **overrides; /* -o */
	size_t override_count;
	int other; /* a, A, b, l, m, t or T, or 0 */
	const char *tls_mode;
	int chosen_actions;
	int chosen_targets;
};

static NORETURN void usage(void)
{
	fatal("usage: postconf [-a] [-A] [-b] [-c config_dir] [-C class] [-d] [-e] [-f] [-F] [-h] [-H] "
	      "[-j] [-l] [-m] [-M] [-n] [-o name=value] [-p] [-P] [-q] [-t] [-T mode] [-v] [-x] [-X] "
	      "[-#] [name...]");
}

static unsigned parse_classes(const char *text)
{
	static const struct {
		const char *name;
		unsigned classes;
	} classes[] = {
		{ "builtin", 1u << CONF_CLASS_BUILTIN },
		{ "service", 1u << CONF_CLASS_SERVICE },
		{ "user", 1u << CONF_CLASS_USER },
		{ "all", ~0u },
	};
	struct span rest = span_of(text), word;
	unsigned result = 0;

	while ((word = span_word(&rest, " ,\t")).n > 0) {
		unsigned found = 0;

		for (size_t i = 0; i < ARRAY_LEN(classes); i++)
			if (span_is(word, classes[i].name))
				found = classes[i].classes;
		if (found == 0)
			fatal("unknown -C option value \"%.*s\" in \"%s\", expected builtin, service, "
			      "user or all", SPAN_ARG(word), text);
		result |= found;
	}
	return result;
}

static void choose_action(struct postconf *pc, struct options *options, enum postconf_action action)
{
	options->chosen_actions += pc->action != action;
	pc->action = action;
}

static void choose_target(struct postconf *pc, struct options *options, enum postconf_target target)
{
	options->chosen_targets += pc->target != target;
	pc->target = target;
}

static void add_override(struct options *options, char *text)
{
	options->overrides = mem_resize(options->overrides,
					(options->override_count + 1) * sizeof(char *));
	options->overrides[options->override_count++] = text;
}

static void parse_option(struct postconf *pc, struct options *options, int option)
{
	switch (option) {
	case 'a': case 'A': case 'b': case 'l': case 'm': case 't':
		options->other = option;
		break;
	case 'T':
		options->other = option;
		options->tls_mode = optarg;
		break;
	case 'c': options->directory = optarg; break;
	case 'C': pc->classes = parse_classes(optarg); break;
	case 'd': pc->shows_defaults = true; break;
	case 'f': pc->folds = true; break;
	case 'h': pc->hides_names = true; break;
	case 'H': pc->hides_values = true; break;
	case 'j': pc->is_json = true; break;
	case 'n': pc->shows_set = true; break;
	case 'o': add_override(options, optarg); break;
	case 'p': break; /* the default */
	case 'q': pc->is_quiet = true; break;
	case 'v': log_verbose(log_verbosity() + 1); break;
	case 'x': pc->expands = true; break;
	case 'e': choose_action(pc, options, ACTION_EDIT); break;
	case '#': choose_action(pc, options, ACTION_COMMENT); break;
	case 'X': choose_action(pc, options, ACTION_REMOVE); break;
	case 'M': choose_target(pc, options, TARGET_SERVICES); break;
	case 'F': choose_target(pc, options, TARGET_FIELDS); break;
	case 'P': choose_target(pc, options, TARGET_PARAMS); break;
	default: usage();
	}
}

static void check_options(struct postconf *pc, const struct options *options, char **args)
{
	if (options->chosen_actions > 1)
		fatal("specify one of -e, -X and -#");
	if (options->chosen_targets > 1)
		fatal("specify one of -F, -M and -P");
	if (pc->shows_defaults && pc->shows_set)
		fatal("specify one of -d and -n");
	if (pc->target == TARGET_FIELDS && pc->action >= ACTION_COMMENT)
		fatal("-F cannot be used with -X or -#");
	if (pc->target == TARGET_PARAMS && pc->action == ACTION_COMMENT)
		fatal("-P cannot be used with -#");
	for (char **arg = args; pc->action == ACTION_SHOW && *arg != NULL; arg++)
		if (strchr(*arg, '=') != NULL)
			pc->action = ACTION_EDIT;
	if (pc->action != ACTION_SHOW && (pc->shows_defaults || pc->shows_set))
		fatal("-d and -n show settings and cannot be used to change them");
	if (pc->is_json && (pc->hides_names || pc->hides_values || pc->folds))
		fatal("-j cannot be used with -f, -h or -H");
}

static void take_problem(void *context, const struct conf_problem *problem)
{
	const struct postconf *pc = context;

	if (problem->severity == CONF_IS_ERROR)
		fatal("%s", conf_problem_text(problem));
	if (!pc->is_quiet)
		log_warn("%s", conf_problem_text(problem));
}

/* A line of master.cf that is wrong does not keep main.cf from being shown. */
static void take_master_problem(void *context, const struct conf_problem *problem)
{
	const struct postconf *pc = context;

	if (problem->severity == CONF_IS_ERROR && pc->target != TARGET_MAIN)
		fatal("%s", conf_problem_text(problem));
	if (!pc->is_quiet && (pc->target != TARGET_MAIN || problem->severity == CONF_IS_ERROR))
		log_warn("%s", conf_problem_text(problem));
}

static void read_configuration(struct postconf *pc, const struct options *options)
{
	struct conf_report report = { take_problem, pc, 0 };
	struct conf_report master_report = { take_master_problem, pc, 0 };

	if (!pc->shows_defaults && !conf_dict_read(&pc->main, pc->main_path, &report))
		fatal("open %s: %s", pc->main_path, strerror(errno));
	for (size_t i = 0; i < options->override_count; i++) {
		struct span name, value;
		const char *wrong =
			conf_assignment_parse(span_of(options->overrides[i]), &name, &value);

		if (wrong != NULL)
			fatal("-o %s: %s", options->overrides[i], wrong);
		conf_dict_set(&pc->main, name, value, 0, NULL);
	}
	if (!master_cf_read(&pc->services, pc->master_path, &master_report) &&
	    (pc->target != TARGET_MAIN || errno != ENOENT)) {
		if (pc->target != TARGET_MAIN)
			fatal("open %s: %s", pc->master_path, strerror(errno));
		log_warn("open %s: %s", pc->master_path, strerror(errno));
	}
	conf_usage_init(&pc->usage, &pc->main, pc->services.count > 0 ? &pc->services : NULL);
	if (!pc->is_quiet && !pc->shows_defaults)
		conf_usage_report(&pc->usage, pc->target == TARGET_MAIN,
				  pc->target != TARGET_MAIN, &report);
}

static void show(struct postconf *pc, const struct options *options, char **args)
{
	read_configuration(pc, options);
	switch (pc->target) {
	case TARGET_MAIN:
		show_main(pc, args);
		break;
	case TARGET_SERVICES:
		show_services(pc, args);
		break;
	case TARGET_FIELDS:
		show_fields(pc, args);
		break;
	case TARGET_PARAMS:
		show_params(pc, args);
		break;
	}
	conf_usage_done(&pc->usage);
}

static void list_other(struct postconf *pc, const struct options *options, char **args)
{
	switch (options->other) {
	case 'a':
		list_server_sasl();
		break;
	case 'A':
		list_client_sasl();
		break;
	case 'l':
		list_lock_methods();
		break;
	case 'm':
		list_table_types();
		break;
	case 'T':
		if (!list_tls(options->tls_mode))
			fatal("unknown 'postconf -T' mode: %s, expected compile-version, run-version "
			      "or public-key-algorithms", options->tls_mode);
		break;
	default:
		if (args[0] != NULL && args[1] != NULL)
			usage();
		show_templates(pc, args[0], options->other == 'b');
	}
}

int main(int argc, char **argv)
{
	struct postconf pc = { .classes = ~0u };
	struct options options = { 0 };
	int option;

	log_open("postconf", -1);
	while ((option = getopt(argc, argv, "aAbc:C:defFhHjlmMno:pPqtT:vxX#")) > 0)
		parse_option(&pc, &options, option);
	check_options(&pc, &options, argv + optind);
	pc.directory = conf_directory(options.directory);
	pc.is_elsewhere = strcmp(pc.directory, POSTERN_CONFIG_DIRECTORY) != 0;
	pc.main_path = mem_printf("%s/main.cf", pc.directory);
	pc.master_path = mem_printf("%s/master.cf", pc.directory);
	if (options.other != 0)
		list_other(&pc, &options, argv + optind);
	else if (pc.action == ACTION_SHOW)
		show(&pc, &options, argv + optind);
	else if (argv[optind] == NULL)
		fatal("nothing to change: expected arguments with -e, -X or -#");
	else if (pc.target == TARGET_MAIN)
		edit_main(&pc, argv + optind);
	else
		edit_master(&pc, argv + optind);
	conf_dict_done(&pc.main);
	master_cf_done(&pc.services);
	free(pc.main_path);
	free(pc.master_path);
	free(options.overrides);
	if (fflush(stdout) != 0 || ferror(stdout))
		fatal("write error: %s", strerror(errno));
	return 0;
}
