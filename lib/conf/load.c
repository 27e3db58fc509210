/* SPDX-License-Identifier: MIT */
/*
 * Expanding and checking the values of all parameters (postconf(5)). Run by master and by the
 * commands on main.cf and on the -o options of master.cf, which the administrator wrote.
 */

#include "conf/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* What one expansion told: whether $stress was in it. */
static void note_stress(void *context, struct span name, bool is_known)
{
	bool *ret_has_stress = context;

	(void)is_known;
	if (span_is(name, "stress"))
		*ret_has_stress = true;
}

static void report_bad(const struct conf_scope *scope, struct conf_report *report,
		       struct span name, const char *text, const char *wrong, const char *expected)
{
	const struct conf_setting *setting = conf_setting(scope, name);
	char *name_text = mem_dup(name);

	conf_report(report, CONF_IS_ERROR, setting != NULL ? setting->file : "",
		    setting != NULL ? setting->line : 0, name_text, "%s: %s \"%s\"%s%s", name_text,
		    wrong, text, expected[0] != '\0' ? ", expected " : "", expected);
	free(name_text);
}

/* Expands and checks `text` as the value of `name`, appending it to `ret`. */
static bool evaluate_text(const struct conf_scope *scope, const struct conf_param *param,
			  struct span name, const char *text, struct conf_report *report,
			  struct buf *ret, bool *ret_has_stress)
{
	char error[CONF_EXPAND_ERROR_MAX], expected[CONF_EXPECTED_MAX];
	struct conf_value value;

	if (param->type == CONF_RAW || !conf_has_macro(span_of(text))) {
		buf_text(ret, text);
	} else if (!conf_expand(scope, span_of(text), ret, error, note_stress, ret_has_stress)) {
		char wrong[CONF_EXPAND_ERROR_MAX + 10];

		snprintf(wrong, sizeof(wrong), "%s in", error);
		report_bad(scope, report, name, text, wrong, "");
		return false;
	}
	if (span_is(name, "myorigin") && span_starts(buf_span(ret), SPAN("/"))) {
		report_bad(scope, report, name, buf_str(ret), "no name in the first line of", "");
		return false;
	}
	if (conf_value_parse(param, span_trim(buf_span(ret)), &value, expected))
		return true;
	report_bad(scope, report, name, buf_str(ret), "bad value", expected);
	return false;
}

bool conf_evaluate_one(const struct conf_scope *scope, const struct conf_param *param,
		       struct conf_report *report, struct buf *ret)
{
	struct buf value = BUF_INIT(CONF_VALUE_MAX);
	bool has_stress;
	bool is_good = evaluate_text(scope, param, span_of(param->name),
				     conf_lookup(scope, span_of(param->name)), report, &value,
				     &has_stress);

	if (is_good && ret != NULL)
		buf_add(ret, span_trim(buf_span(&value)));
	buf_done(&value);
	return is_good;
}

static bool is_wanted(const struct conf_param *param, uint32_t who)
{
	return who == CONF_EVERYBODY || (param->kind == CONF_PARAM && (param->who & who) != 0);
}

void conf_evaluate(const struct conf_scope *scope, uint32_t who, struct conf_report *report,
		   conf_take_fn *take, void *context)
{
	struct buf normal = BUF_INIT(CONF_VALUE_MAX), stressed = BUF_INIT(CONF_VALUE_MAX);
	struct conf_scope under_stress = *scope;

	under_stress.is_stressed = true;
	for (size_t i = 0; i < conf_param_count(); i++) {
		const struct conf_param *param = conf_param_at(i);
		struct span name = span_of(param->name);
		bool has_stress = false;

		if (!is_wanted(param, who))
			continue;
		buf_reset(&normal);
		buf_reset(&stressed);
		if (!evaluate_text(scope, param, name, conf_lookup(scope, name), report, &normal,
				   &has_stress))
			continue;
		if (take != NULL)
			take(context, param, span_trim(buf_span(&normal)), false);
		if (has_stress &&
		    evaluate_text(&under_stress, param, name, conf_lookup(&under_stress, name),
				  report, &stressed, &has_stress) &&
		    take != NULL && !span_eq(buf_span(&normal), buf_span(&stressed)))
			take(context, param, span_trim(buf_span(&stressed)), true);
	}
	buf_done(&normal);
	buf_done(&stressed);
}

/* A text parameter without bounds, for names that are in no table. */
static const struct conf_param user_defined = { .type = CONF_TEXT };

/* Which programs may see a name that is in no table. */
static uint32_t audience_of(struct span name, const struct conf_param *pattern,
			    const struct htab *classes)
{
	if (pattern != NULL)
		return pattern->who;
	if (htab_get(classes, name) != NULL)
		return 1u << CONF_SMTPD | 1u << CONF_CONNECT;
	return 1u << CONF_PROXYMAP;
}

static void evaluate_named_dict(const struct conf_scope *scope, const struct conf_dict *dict,
				const struct htab *classes, uint32_t who,
				struct conf_report *report, conf_take_named_fn *take, void *context)
{
	struct buf value = BUF_INIT(CONF_VALUE_MAX);

	for (size_t i = 0; i < dict->count; i++) {
		const struct conf_setting *setting = dict->settings[i];
		struct span name = span_of(setting->name);
		const struct conf_param *pattern = conf_pattern_find(name);
		const struct conf_param *param = pattern != NULL ? pattern : &user_defined;
		bool has_stress = false;

		if (conf_setting(scope, name) != setting || conf_param_find(name) != NULL ||
		    (audience_of(name, pattern, classes) & who) == 0)
			continue;
		buf_reset(&value);
		if (!evaluate_text(scope, param, name, setting->value, report, &value, &has_stress))
			continue;
		if (take != NULL)
			take(context, name, span_trim(buf_span(&value)));
	}
	buf_done(&value);
}

static void restriction_classes(const struct conf_scope *scope, struct htab *ret_classes)
{
	static char present[] = "class";
	struct buf value = BUF_INIT(CONF_VALUE_MAX);
	char error[CONF_EXPAND_ERROR_MAX];
	struct span rest, word;

	if (conf_expand(scope, SPAN("$smtpd_restriction_classes"), &value, error, NULL, NULL)) {
		rest = buf_span(&value);
		while ((word = span_word(&rest, " ,\t\r\n")).n > 0)
			htab_put(ret_classes, word, present);
	}
	buf_done(&value);
}

static void evaluate_instances(const struct conf_scope *scope, uint32_t who,
			       struct conf_report *report, conf_take_named_fn *take, void *context)
{
	struct buf value = BUF_INIT(CONF_VALUE_MAX);

	for (size_t i = 0; i < conf_param_count(); i++) {
		const struct conf_param *param = conf_param_at(i);

		if (param->kind != CONF_INSTANCE || (param->who & who) == 0)
			continue;
		buf_reset(&value);
		if (conf_evaluate_one(scope, param, report, &value) && take != NULL)
			take(context, span_of(param->name), buf_span(&value));
	}
	buf_done(&value);
}

void conf_evaluate_named(const struct conf_scope *scope, uint32_t who, struct conf_report *report,
			 conf_take_named_fn *take, void *context)
{
	struct htab classes = { 0 };

	restriction_classes(scope, &classes);
	if (scope->main != NULL)
		evaluate_named_dict(scope, scope->main, &classes, who, report, take, context);
	if (scope->overrides != NULL)
		evaluate_named_dict(scope, scope->overrides, &classes, who, report, take, context);
	evaluate_instances(scope, who, report, take, context);
	htab_done(&classes, NULL);
}

static void take_value(void *context, const struct conf_param *param, struct span value,
		       bool is_stressed)
{
	int *errors = context;

	*errors += !conf_values_set(param, value, is_stressed, false);
}

static void take_named(void *context, struct span name, struct span value)
{
	(void)context;
	conf_values_set_named(name, value);
}

bool conf_load_text(struct span main_cf)
{
	struct conf_dict dict = { 0 };
	struct conf_report report = { 0 };
	struct conf_scope scope = { .main = &dict, .config_directory = POSTERN_CONFIG_DIRECTORY };
	int errors = 0;

	conf_dict_parse(&dict, main_cf, &report);
	conf_values_reset();
	conf_evaluate(&scope, CONF_EVERYBODY, &report, take_value, &errors);
	conf_evaluate_named(&scope, CONF_EVERYBODY, &report, take_named, NULL);
	conf_dict_done(&dict);
	return errors == 0 && report.errors == 0;
}
