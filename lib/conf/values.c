/* SPDX-License-Identifier: MIT */
/*
 * The values that `conf` points at, and the per-transport and user-defined names beside them.
 * Filled once at the start of each program, from values that are expanded already; const after.
 */

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/load.h"

static struct conf values[2]; /* in normal times, and under stress */
static struct arena texts;
static struct htab named; /* to strings in `texts` */

const struct conf *conf = &values[0];

void conf_set_stress(bool is_stressed)
{
	conf = &values[is_stressed];
}

static void store(const struct conf_param *param, int field, size_t which,
		  const struct conf_value *value, const char *text)
{
	void *at = (char *)&values[which] + field;

	switch (param->type) {
	case CONF_TIME_S:
	case CONF_TIME_H:
	case CONF_TIME_D:
	case CONF_COUNT:
		*(int *)at = (int)value->number;
		break;
	case CONF_SIZE:
		*(int64_t *)at = value->number;
		break;
	case CONF_BOOL:
		*(bool *)at = value->number != 0;
		break;
	case CONF_TEXT:
	case CONF_RAW:
	case CONF_TABLE:
	case CONF_CHOICE:
		*(const char **)at = text;
		break;
	}
}

static void store_both(const struct conf_param *param, int field, bool is_stressed,
		       const struct conf_value *value, const char *text)
{
	if (!is_stressed)
		store(param, field, 0, value, text);
	store(param, field, 1, value, text);
}

static bool is_text(const struct conf_param *param)
{
	return param->type == CONF_TEXT || param->type == CONF_RAW || param->type == CONF_TABLE ||
	       param->type == CONF_CHOICE;
}

bool conf_values_set(const struct conf_param *param, struct span text, bool is_stressed,
		     bool is_lmtp)
{
	char expected[CONF_EXPECTED_MAX];
	struct conf_value value = { 0 };
	const char *stored = "";

	if (!conf_value_parse(param, text, &value, expected))
		return false;
	if (param->field == CONF_NO_FIELD || (is_lmtp && param->has_twin))
		return true;
	if (is_text(param))
		stored = arena_str(&texts, param->type == CONF_CHOICE ? value.word : text);
	store_both(param, param->field, is_stressed, &value, stored);
	if (is_lmtp && param->twin != CONF_NO_FIELD)
		store_both(param, param->twin, is_stressed, &value, stored);
	return true;
}

void conf_values_set_named(struct span name, struct span value)
{
	htab_put(&named, name, arena_str(&texts, value));
}

static void store_default(const struct conf_param *param, int field)
{
	bool is_literal = param->type == CONF_RAW || !conf_has_macro(span_of(param->value));
	char expected[CONF_EXPECTED_MAX];
	struct conf_value value = { 0 };

	if (is_literal && !conf_value_parse(param, span_of(param->value), &value, expected))
		panic("default of %s: \"%s\", expected %s", param->name, param->value, expected);
	store_both(param, field, false, &value, is_literal ? param->value : "");
}

void conf_values_reset(void)
{
	arena_done(&texts);
	htab_done(&named, NULL);
	memset(values, 0, sizeof(values));
	for (size_t i = 0; i < conf_param_count(); i++)
		if (conf_param_at(i)->field != CONF_NO_FIELD)
			store_default(conf_param_at(i), conf_param_at(i)->field);
}

void conf_values_set_twins(void)
{
	for (size_t i = 0; i < conf_param_count(); i++)
		if (conf_param_at(i)->twin != CONF_NO_FIELD)
			store_default(conf_param_at(i), conf_param_at(i)->twin);
}

const char *conf_user(const char *name)
{
	return htab_get(&named, span_of(name));
}

/* The row for `suffix` (without its underscore), and the text of TRANSPORT_SUFFIX or NULL. */
static const struct conf_param *transport_pattern(const char *transport, const char *suffix,
						  const char **ret_text)
{
	char name[256];

	if (snprintf(name, sizeof(name), "%s_%s", transport, suffix) >= (int)sizeof(name))
		*ret_text = NULL;
	else
		*ret_text = htab_get(&named, span_of(name));
	for (size_t i = 0; i < conf_pattern_count(); i++)
		if (strcmp(conf_pattern_at(i)->name + 1, suffix) == 0)
			return conf_pattern_at(i);
	panic("unknown per-transport suffix %s", suffix);
}

/* Where the default of a pattern, "$name", is in struct conf. */
static const void *pattern_default(const struct conf_param *pattern)
{
	const struct conf_param *param = conf_param_find(span_of(pattern->value + 1));

	if (param == NULL || param->field == CONF_NO_FIELD || param->type != pattern->type)
		panic("pattern %s has no default", pattern->name);
	return (const char *)conf + param->field;
}

static int transport_int(const char *transport, const char *suffix)
{
	const char *text;
	const struct conf_param *pattern = transport_pattern(transport, suffix, &text);
	char expected[CONF_EXPECTED_MAX];
	struct conf_value value;

	if (text != NULL && conf_value_parse(pattern, span_of(text), &value, expected))
		return (int)value.number;
	return *(const int *)pattern_default(pattern);
}

int conf_transport_count(const char *transport, const char *suffix)
{
	return transport_int(transport, suffix);
}

seconds conf_transport_time(const char *transport, const char *suffix)
{
	return transport_int(transport, suffix);
}

const char *conf_transport_text(const char *transport, const char *suffix)
{
	const char *text;
	const struct conf_param *pattern = transport_pattern(transport, suffix, &text);

	return text != NULL ? text : *(const char *const *)pattern_default(pattern);
}
