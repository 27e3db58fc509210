/* SPDX-License-Identifier: MIT */
/*
 * postmulti: several instances of the mail system on one machine, each with its own
 * configuration, queue and data. Run by the administrator; postern(1) runs it when
 * multi_instance_wrapper says so. postmulti(1), MULTI_INSTANCE_README, postfix-wrapper(5).
 *
 *     postmulti -l [-aR] [-g group] [-i name]
 *     postmulti -p [-a] [-g group] [-i name] command ...
 *     postmulti -x [-aR] [-g group] [-i name] unix-command ...
 *     postmulti -e action [-a] [-g group] [-i name] [-G group] [-I name] [name=value ...]
 */

#include "postmulti.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"

NORETURN static void usage(void)
{
	(void)fprintf(stderr,
		      "usage: postmulti -l [-aRv] [-g group] [-i name]\n"
		      "       postmulti -p [-av] [-g group] [-i name] command...\n"
		      "       postmulti -x [-aRv] [-g group] [-i name] unix-command...\n"
		      "       postmulti -e action [-av] [-g group] [-i name] [-G group] [-I name] "
		      "[name=value...]\n");
	exit(1);
}

struct options {
	int mode; /* 'l', 'p', 'x', 'e'; 0: not yet */
	bool is_reverse;
	struct lifecycle lifecycle;
};

static void set_mode(struct options *options, int mode)
{
	if (options->mode != 0)
		fatal("specify one of -e, -l, -p, or -x");
	options->mode = mode;
}

static void parse_options(int argc, char **argv, struct options *ret)
{
	int option;

	*ret = (struct options){ 0 };
	/* "+": what follows the first argument belongs to the command. */
	while ((option = getopt(argc, argv, "+ae:g:i:G:I:lpRvx")) >= 0) {
		switch (option) {
		case 'l':
		case 'p':
		case 'x': set_mode(ret, option); break;
		case 'e':
			set_mode(ret, option);
			ret->lifecycle.action = optarg;
			break;
		case 'a': ret->lifecycle.at_front = true; break;
		case 'g': ret->lifecycle.selection.group = optarg; break;
		case 'i': ret->lifecycle.selection.name = optarg; break;
		case 'G': ret->lifecycle.new_group = optarg; break;
		case 'I': ret->lifecycle.new_name = optarg; break;
		case 'R': ret->is_reverse = true; break;
		case 'v': log_verbose(log_verbosity() + 1); break;
		default: usage();
		}
	}
	if (ret->mode == 0 || (ret->mode == 'p' && ret->is_reverse))
		usage();
	if ((ret->mode == 'p' || ret->mode == 'x') && optind == argc)
		usage();
	if (ret->mode == 'l' && optind < argc)
		usage();
}

/* Whether `word` is in a list of main.cf. */
static bool lists(const char *list, const char *word)
{
	struct span rest = span_of(list), one;

	while ((one = span_word(&rest, ", \t\r\n")).n > 0)
		if (span_is(one, word))
			return true;
	return false;
}

static void print_instance(const struct instance *instance)
{
	printf("%-15s %-15s %-9s %s\n", *instance->name != '\0' ? instance->name : "-",
	       *instance->group != '\0' ? instance->group : "-", instance->is_enabled ? "y" : "n",
	       instance->directory);
}

/*
 * A command of postern(1) for one instance. What is switched off is checked instead of started,
 * and left alone by what needs it running. 0 as well when there was nothing to do.
 */
static int run_postern(const struct instance *instance, char **command)
{
	char *check[] = { (char[]){ "check" }, NULL };

	if (!instance->is_enabled) {
		if (lists(conf->postmulti_start_commands, command[0]))
			command = check;
		else if (lists(conf->postmulti_stop_commands, command[0]) ||
			 lists(conf->postmulti_control_commands, command[0]))
			return 0;
	}
	return instance_run_own(instance, "postern", command);
}

static int act_on(const struct options *options, const struct instance *instance, char **command)
{
	switch (options->mode) {
	case 'p': return run_postern(instance, command);
	case 'x': return instance_run(instance, command);
	default: print_instance(instance); return 0;
	}
}

/* The first failure is the exit status; one that fails to start ends the starting of others. */
static int iterate(const struct options *options, const struct instances *all, char **command)
{
	const struct selection *selection = &options->lifecycle.selection;
	bool is_postern = options->mode == 'p';
	bool is_start = is_postern && lists(conf->postmulti_start_commands, command[0]);
	bool is_reverse = options->is_reverse ||
			  (is_postern && lists(conf->postmulti_stop_commands, command[0]));
	int code = 0, matches = 0;

	for (size_t i = 0; i < all->count; i++) {
		size_t index = is_reverse ? all->count - 1 - i : i;
		int one;

		if (!instance_is_selected(all, index, selection))
			continue;
		matches++;
		one = act_on(options, &all->list[index], command);
		code = code != 0 ? code : one;
		if (one != 0 && is_start && all->list[index].is_enabled)
			break;
	}
	if (matches == 0)
		fatal("no matching instances");
	return code;
}

int main(int argc, char **argv)
{
	const char *directory = getenv("MAIL_CONFIG");
	struct options options;
	struct instances all;

	log_open("postmulti", -1);
	parse_options(argc, argv, &options);
	if (directory != NULL && *directory != '\0' &&
	    strcmp(directory, POSTERN_CONFIG_DIRECTORY) != 0)
		fatal("MAIL_CONFIG is %s: instances are managed from the primary one", directory);
	conf_load_command(NULL);
	instances_load(&all);
	options.lifecycle.settings = argv + optind;
	if (options.mode == 'e')
		return lifecycle_run(&all, &options.lifecycle);
	/* Without the switch for many there is but one. */
	if (!all.is_managed)
		all.count = 1;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	return iterate(&options, &all, argv + optind);
}
