/* SPDX-License-Identifier: MIT */
/* postconf(1) without -M, -F or -P: showing the parameters of main.cf. */

#include "postconf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

static struct conf_scope main_scope(const struct postconf *pc)
{
	return (struct conf_scope){
		.main = pc->shows_defaults ? NULL : &pc->main,
		.config_directory = pc->directory,
		.process_name = "postconf",
	};
}

static void warn_undefined(void *context, struct span name, bool is_known)
{
	const char *path = context;

	if (!is_known)
		log_warn("%s: undefined parameter: %.*s", path, SPAN_ARG(name));
}

char *display_value(const struct postconf *pc, const struct master_service *service,
		    const char *name, const char *value)
{
	const struct conf_param *param = conf_param_find(span_of(name));
	struct conf_scope scope = main_scope(pc);
	struct buf expanded = BUF_INIT(CONF_VALUE_MAX);
	char error[CONF_EXPAND_ERROR_MAX];
	char *path = service != NULL ? pc->master_path : pc->main_path;

	if (!pc->expands || (param != NULL && param->type == CONF_RAW))
		return mem_dup_str(value);
	if (service != NULL) {
		scope.overrides = &service->overrides;
		scope.process_name = service->command;
		scope.service_name = service->name;
	}
	if (!conf_expand(&scope, span_of(value), &expanded, error, warn_undefined, path))
		fatal("%s: %s: %s", path, name, error);
	return buf_steal(&expanded);
}

static void show_one(struct postconf *pc, const char *name)
{
	struct conf_scope scope = main_scope(pc);
	const struct conf_setting *setting = conf_setting(&scope, span_of(name));
	/* As it is written; -x: as it counts (myorigin may be the name of a file). */
	const char *value = setting != NULL && !pc->expands ? setting->value :
							      conf_lookup(&scope, span_of(name));
	char *text = display_value(pc, NULL, name, value != NULL ? value : "");

	if (pc->is_json)
		print_json((struct json_pair[]){ { "name", name }, { "value", text } }, 2);
	else
		print_setting(pc, name, text);
	free(text);
}

/* The names to show, sorted. */
struct names {
	char **list;
	size_t count;
	struct htab known;
};

static char present[] = "";

static void add_name(struct names *names, const char *name)
{
	if (htab_put(&names->known, span_of(name), present) != NULL)
		return;
	if ((names->count & (names->count - 1)) == 0)
		names->list = mem_resize(names->list, (names->count > 0 ? names->count * 2 : 1) *
							      sizeof(*names->list));
	names->list[names->count++] = mem_dup_str(name);
}

static void names_done(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->list[i]);
	free(names->list);
	htab_done(&names->known, NULL);
}

static bool wants_class(const struct postconf *pc, enum conf_class class)
{
	return (pc->classes & 1u << class) != 0;
}

static void add_builtin_names(struct names *names)
{
	for (size_t i = 0; i < conf_param_count(); i++)
		if (conf_param_at(i)->kind != CONF_OLD_NAME)
			add_name(names, conf_param_at(i)->name);
}

/* The per-transport names of the services in master.cf. */
static void add_service_names(const struct postconf *pc, struct names *names)
{
	for (size_t i = 0; i < pc->services.count; i++)
		for (size_t j = 0; j < conf_pattern_count(); j++) {
			const struct master_service *service = pc->services.services[i];
			const struct conf_param *pattern = conf_pattern_at(j);
			char *name;

			if (!conf_pattern_applies(pattern, service))
				continue;
			name = mem_printf("%s%s", service->name, pattern->name);
			add_name(names, name);
			free(name);
		}
}

/* The names that main.cf sets, if they have an effect. */
static void add_set_names(const struct postconf *pc, struct names *names)
{
	for (size_t i = 0; i < pc->main.count; i++) {
		const char *name = pc->main.settings[i]->name;
		enum conf_class class = conf_usage_class(&pc->usage, span_of(name));

		if (class != CONF_CLASS_UNUSED && wants_class(pc, class))
			add_name(names, name);
	}
	if (pc->is_elsewhere && wants_class(pc, CONF_CLASS_BUILTIN))
		add_name(names, "config_directory");
}

static void collect_names(const struct postconf *pc, struct names *names)
{
	if (!pc->shows_set && wants_class(pc, CONF_CLASS_BUILTIN))
		add_builtin_names(names);
	if (!pc->shows_set && wants_class(pc, CONF_CLASS_SERVICE))
		add_service_names(pc, names);
	if (!pc->shows_defaults)
		add_set_names(pc, names);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void show_main(struct postconf *pc, char **wanted)
{
	struct names names = { 0 };

	collect_names(pc, &names);
	if (wanted[0] != NULL) {
		for (; *wanted != NULL; wanted++)
			if (htab_get(&names.known, span_of(*wanted)) != NULL)
				show_one(pc, *wanted);
			else
				log_warn("%s: unknown parameter", *wanted);
	} else {
		if (names.count > 0)
			qsort(names.list, names.count, sizeof(*names.list), compare_names);
		for (size_t i = 0; i < names.count; i++)
			show_one(pc, names.list[i]);
	}
	names_done(&names);
}
