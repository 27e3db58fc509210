/* SPDX-License-Identifier: MIT */
/*
 * Finding settings without effect, such as a mistyped name. Run by postconf, by the configuration
 * check and by master, on the administrator's files.
 */

#include "conf/check.h"

#include <string.h>


static char present[] = "";

static bool is_name_byte(char c)
{
	return ascii_is_alnum(c) || c == '_';
}

/* The names behind each "$" of a value, in whatever nesting. */
static void note_references(struct htab *names, struct span text)
{
	size_t at;

	while (span_chr(text, '$', &at)) {
		size_t length = 0;

		text = span_from(text, at + 1);
		while (text.n > 0 && (text.p[0] == '{' || text.p[0] == '(' ||
				      ascii_is_blank(text.p[0])))
			text = span_from(text, 1);
		while (length < text.n && is_name_byte(text.p[length]))
			length++;
		if (length > 0)
			htab_put(names, span_first(text, length), present);
		text = span_from(text, length);
	}
}

/* The names of database clients that are set up in main.cf: "ldap:accounts", not "ldap:/file". */
static void note_databases(struct htab *databases, struct span text)
{
	static const char *const types[] = {
		"ldap:", "mysql:", "pgsql:", "sqlite:", "memcache:", "mongodb:",
	};
	struct span word;

	while ((word = span_word(&text, " ,\t\r\n{}")).n > 0) {
		if (span_starts(word, SPAN("proxy:")))
			word = span_from(word, sizeof("proxy:") - 1);
		for (size_t i = 0; i < ARRAY_LEN(types); i++) {
			struct span type = span_of(types[i]), name = span_from(word, type.n);

			if (span_starts(word, type) && name.n > 0 && name.p[0] != '/' &&
			    name.p[0] != '.')
				htab_put(databases, name, present);
		}
	}
}

static void note_dict(struct conf_usage *usage, const struct conf_dict *dict)
{
	const struct conf_setting *classes = conf_dict_get(dict, SPAN("smtpd_restriction_classes"));
	struct span rest, word;

	for (size_t i = 0; i < dict->count; i++) {
		note_references(&usage->referenced, span_of(dict->settings[i]->value));
		note_databases(&usage->databases, span_of(dict->settings[i]->value));
	}
	if (classes == NULL)
		return;
	rest = span_of(classes->value);
	while ((word = span_word(&rest, " ,\t\r\n")).n > 0)
		htab_put(&usage->referenced, word, present);
}

void conf_usage_init(struct conf_usage *usage, const struct conf_dict *main,
		     const struct master_cf *services)
{
	*usage = (struct conf_usage){ .main = main, .services = services };
	note_dict(usage, main);
	for (size_t i = 0; services != NULL && i < services->count; i++)
		note_dict(usage, &services->services[i]->overrides);
	/* The defaults of some parameters refer to names that are not parameters themselves. */
	for (size_t i = 0; i < conf_param_count(); i++)
		note_references(&usage->referenced, span_of(conf_param_at(i)->value));
}

void conf_usage_done(struct conf_usage *usage)
{
	htab_done(&usage->referenced, NULL);
	htab_done(&usage->databases, NULL);
}

bool conf_pattern_applies(const struct conf_param *pattern, const struct master_service *service)
{
	static const char *const agents[] = {
		"local", "error", "virtual", "smtp", "lmtp", "pipe", "discard",
	};

	if (service->type != MASTER_UNIX)
		return false;
	if ((pattern->who & (1u << CONF_PIPE | 1u << CONF_SPAWN)) != 0)
		return strcmp(service->command, "pipe") == 0 ||
		       strcmp(service->command, "spawn") == 0;
	for (size_t i = 0; i < ARRAY_LEN(agents); i++)
		if (strcmp(service->command, agents[i]) == 0)
			return true;
	return false;
}

static bool is_service_name(const struct conf_usage *usage, struct span name)
{
	const struct conf_param *pattern = conf_pattern_find(name);
	struct span transport;

	if (pattern == NULL || usage->services == NULL)
		return pattern != NULL;
	transport = span_first(name, name.n - strlen(pattern->name));
	for (size_t i = 0; i < usage->services->count; i++)
		if (span_is(transport, usage->services->services[i]->name) &&
		    conf_pattern_applies(pattern, usage->services->services[i]))
			return true;
	return false;
}

static bool is_database_name(const struct conf_usage *usage, struct span name)
{
	for (size_t i = 1; i < name.n; i++)
		if (name.p[i] == '_' && htab_get(&usage->databases, span_first(name, i)) != NULL)
			return true;
	return false;
}

enum conf_class conf_usage_class(const struct conf_usage *usage, struct span name)
{
	if (conf_param_find(name) != NULL)
		return CONF_CLASS_BUILTIN;
	if (is_service_name(usage, name))
		return CONF_CLASS_SERVICE;
	if (htab_get(&usage->referenced, name) != NULL || is_database_name(usage, name))
		return CONF_CLASS_USER;
	return CONF_CLASS_UNUSED;
}

static void report_setting(const struct conf_usage *usage, const struct conf_setting *setting,
			   struct conf_report *report)
{
	const struct conf_param *param = conf_param_find(span_of(setting->name));
	const char *nearest;

	if (param != NULL && param->kind == CONF_OLD_NAME)
		conf_report(report, CONF_IS_WARNING, setting->file, setting->line, setting->name,
			    "support for parameter \"%s\" will be removed; instead, specify \"%s\"",
			    setting->name, param->reason);
	if (param != NULL && param->kind == CONF_READ_ONLY)
		conf_report(report, CONF_IS_WARNING, setting->file, setting->line, setting->name,
			    "read-only parameter assignment: %s=%s", setting->name, setting->value);
	if (conf_usage_class(usage, span_of(setting->name)) != CONF_CLASS_UNUSED)
		return;
	nearest = conf_param_nearest(span_of(setting->name));
	conf_report(report, CONF_IS_WARNING, setting->file, setting->line, setting->name,
		    "unused parameter: %s=%s%s%s%s", setting->name, setting->value,
		    nearest != NULL ? " (did you mean " : "", nearest != NULL ? nearest : "",
		    nearest != NULL ? "?)" : "");
}

static void report_dict(const struct conf_usage *usage, const struct conf_dict *dict,
			struct conf_report *report)
{
	for (size_t i = 0; i < dict->count; i++)
		if (!dict->settings[i]->is_overridden)
			report_setting(usage, dict->settings[i], report);
}

void conf_usage_report(const struct conf_usage *usage, bool with_main, bool with_services,
		       struct conf_report *report)
{
	if (with_main)
		report_dict(usage, usage->main, report);
	for (size_t i = 0; with_services && usage->services != NULL && i < usage->services->count;
	     i++)
		report_dict(usage, &usage->services->services[i]->overrides, report);
}
