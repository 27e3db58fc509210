/* SPDX-License-Identifier: MIT */
/* The instances of this machine, as their main.cf files say. Run by the administrator. */

#include "postmulti.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/load.h"

enum { ARGUMENTS_MAX = 1000 };

static char *value_of(const struct conf_scope *scope, const char *name)
{
	const struct conf_param *param = conf_param_find(span_of(name));
	struct buf value = BUF_INIT(CONF_VALUE_MAX);
	struct conf_report nobody = { 0 };

	if (param == NULL || !conf_evaluate_one(scope, param, &nobody, &value))
		fatal("%s: bad value of %s", scope->config_directory, name);
	return mem_dup(buf_span(&value));
}

void instance_load(struct instance *ret, const char *directory)
{
	struct conf_dict main = { 0 };
	struct conf_report nobody = { 0 };
	struct conf_scope scope = { .main = &main, .config_directory = directory,
				    .process_name = "postmulti" };
	char *path = mem_printf("%s/main.cf", directory);

	if (!conf_dict_read(&main, path, &nobody))
		fatal("open %s: %s", path, strerror(errno));
	*ret = (struct instance){
		.directory = mem_dup_str(directory),
		.name = value_of(&scope, "multi_instance_name"),
		.group = value_of(&scope, "multi_instance_group"),
		.queue_directory = value_of(&scope, "queue_directory"),
		.data_directory = value_of(&scope, "data_directory"),
		.command_directory = value_of(&scope, "command_directory"),
		.daemon_directory = value_of(&scope, "daemon_directory"),
		.is_enabled = strcmp(value_of(&scope, "multi_instance_enable"), "yes") == 0,
	};
	conf_dict_done(&main);
	free(path);
}

/* Two instances that share a directory would spoil each other's mail. */
static void check_shared(const struct instances *all)
{
	for (size_t i = 0; i < all->count; i++)
		for (size_t k = 0; k < i; k++) {
			const struct instance *a = &all->list[i], *b = &all->list[k];

			if (strcmp(a->directory, b->directory) == 0)
				fatal("multi_instance_directories: %s is there twice", a->directory);
			if (strcmp(a->queue_directory, b->queue_directory) == 0 ||
			    strcmp(a->data_directory, b->data_directory) == 0)
				fatal("instances %s and %s have the same queue_directory or "
				      "data_directory",
				      b->directory, a->directory);
			if (*a->name != '\0' && strcmp(a->name, b->name) == 0)
				fatal("instances %s and %s have the same name: %s", b->directory,
				      a->directory, a->name);
		}
}

void instances_load(struct instances *ret)
{
	struct span rest = span_of(conf->multi_instance_directories), word;

	*ret = (struct instances){ .list = mem_array(rest.n + 1, sizeof(struct instance)),
				   .is_managed = conf->multi_instance_enable,
				   .wrapper = conf->multi_instance_wrapper };
	instance_load(&ret->list[ret->count++], conf_directory(NULL));
	/* A machine that has but one runs it, whatever the switch for many says. */
	if (rest.n == 0)
		ret->list[0].is_enabled = true;
	while ((word = span_word(&rest, ", \t\r\n")).n > 0) {
		char *directory = mem_dup(word);

		if (*directory != '/')
			fatal("multi_instance_directories: %s is no absolute name", directory);
		instance_load(&ret->list[ret->count++], directory);
		free(directory);
	}
	check_shared(ret);
}

bool instance_is_selected(const struct instances *all, size_t index,
			  const struct selection *selection)
{
	const struct instance *instance = &all->list[index];

	if (selection->group != NULL && strcmp(selection->group, instance->group) != 0)
		return false;
	if (selection->name == NULL)
		return true;
	if (strcmp(selection->name, "-") == 0)
		return index == 0;
	return strcmp(selection->name, instance->directory) == 0 ||
	       (*instance->name != '\0' && strcmp(selection->name, instance->name) == 0);
}

static void set_environment(const struct instance *instance)
{
	const struct {
		const char *name, *value;
	} rows[] = {
		{ "MAIL_CONFIG", instance->directory },
		{ "config_directory", instance->directory },
		{ "command_directory", instance->command_directory },
		{ "daemon_directory", instance->daemon_directory },
		{ "queue_directory", instance->queue_directory },
		{ "data_directory", instance->data_directory },
		{ "multi_instance_name", instance->name },
		{ "multi_instance_group", instance->group },
		{ "multi_instance_enable", instance->is_enabled ? "yes" : "no" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (setenv(rows[i].name, rows[i].value, 1) < 0)
			fatal("setenv: %s", strerror(errno));
}

int instance_run(const struct instance *instance, char *const *argv)
{
	pid_t pid;
	int status, error;

	set_environment(instance);
	error = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (error != 0)
		fatal("cannot run %s: %s", argv[0], strerror(error));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fatal("wait: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int instance_run_own(const struct instance *instance, const char *command, char *const *arguments)
{
	char *argv[ARGUMENTS_MAX + 2] = { NULL };
	char *path = mem_printf("%s/%s", instance->command_directory, command);
	int code;

	argv[0] = path;
	for (size_t i = 0; arguments[i] != NULL; i++) {
		if (i == ARGUMENTS_MAX)
			fatal("%s: too many arguments", command);
		argv[i + 1] = arguments[i];
	}
	code = instance_run(instance, argv);
	free(path);
	return code;
}
