/* SPDX-License-Identifier: MIT */
/*
 * Features of Postfix that this version lacks and that are not to be missed in silence. Run by
 * master and by "postern check", on the administrator's files.
 */

#include "master/absent.h"

#include <string.h>

#include "base/words.h"

static const struct {
	const char *command, *advice;
} programs[] = {
	{ "postscreen", "its tests are not in this version: let smtpd have the port (\"smtp inet n - n - - "
			"smtpd\"), and remove this line and the smtpd of type pass" },
	{ "qmqpd", "the QMQP protocol is not spoken: remove this line" },
};

static const struct {
	const char *program, *parameter;
} milters[] = {
	{ "smtpd", "smtpd_milters" },
	{ "smtpd", "smtpd_milter_maps" },
	{ "cleanup", "non_smtpd_milters" },
};

#define NO_PROXIES "XCLIENT and XFORWARD are not in this version: these clients count as themselves"

/* Of smtpd; it takes no mail instead, or nobody is let in by it. */
static const struct {
	const char *parameter, *text;
} proxies[] = {
	{ "smtpd_proxy_filter", "filters before the queue are not in this version, and mail that comes there "
				"is answered with 451: use content_filter, or remove the setting" },
	{ "smtpd_authorized_xclient_hosts", NO_PROXIES },
	{ "smtpd_authorized_xforward_hosts", NO_PROXIES },
};

const char *absent_program(const char *command)
{
	for (size_t i = 0; i < ARRAY_LEN(programs); i++)
		if (strcmp(programs[i].command, command) == 0)
			return programs[i].advice;
	return NULL;
}

/* A report at the place where the service's parameter is set. */
static void report_setting(const struct config *config, const struct master_service *service,
			   const char *name, const char *value, enum conf_severity severity,
			   const char *text, struct conf_report *report)
{
	struct conf_scope scope = config_scope(config, service);
	const struct conf_setting *setting = conf_setting(&scope, span_of(name));

	conf_report(report, severity, setting != NULL ? setting->file : NULL,
		    setting != NULL ? setting->line : 0, name, "%s = %s: %s", name, value, text);
}

/* What one milter wants when it cannot be asked: its own default_action, or the one of all. */
static bool is_dispensable(struct span milter, bool is_default)
{
	struct span inner, word, name, value;
	const char *reason;

	if (!words_unbrace(milter, &inner, &reason))
		return is_default;
	while ((word = words_next(&inner, ",")).n > 0)
		if (span_cut(span_trim(word), '=', &name, &value) &&
		    span_is(span_trim(name), "default_action"))
			is_default = span_is(span_trim(value), "accept");
	return is_default;
}

/* Whether all milters of a list may be missing. */
static bool are_dispensable(struct span list, bool is_default)
{
	struct span milter;

	while ((milter = words_next(&list, WORDS_BLANK_OR_COMMA)).n > 0)
		if (!is_dispensable(milter, is_default))
			return false;
	return true;
}

static void check_milters(const struct config *config, const struct master_service *service,
			  const char *name, struct conf_report *report)
{
	const char *value = config_value(config, service, name);
	const char *action = config_value(config, service, "milter_default_action");

	if (span_trim(span_of(value)).n == 0)
		return;
	if (are_dispensable(span_of(value), strcmp(action, "accept") == 0))
		report_setting(config, service, name, value, CONF_IS_WARNING,
			       "milters are not in this version: mail passes without them, as "
			       "milter_default_action = accept wants", report);
	else
		report_setting(config, service, name, value, CONF_IS_ERROR,
			       "milters are not in this version: remove the setting, or have mail pass "
			       "without them by milter_default_action = accept", report);
}

static void check_proxies(const struct config *config, const struct master_service *service,
			  struct conf_report *report)
{
	for (size_t i = 0; i < ARRAY_LEN(proxies); i++) {
		const char *value = config_value(config, service, proxies[i].parameter);

		if (span_trim(span_of(value)).n > 0)
			report_setting(config, service, proxies[i].parameter, value, CONF_IS_WARNING,
				       proxies[i].text, report);
	}
}

void absent_check(const struct config *config, const struct master_service *service,
		  struct conf_report *report)
{
	for (size_t i = 0; i < ARRAY_LEN(milters); i++)
		if (strcmp(service->command, milters[i].program) == 0)
			check_milters(config, service, milters[i].parameter, report);
	if (strcmp(service->command, "smtpd") == 0)
		check_proxies(config, service, report);
}
