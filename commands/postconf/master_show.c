/* SPDX-License-Identifier: MIT */
/* postconf -M, -F and -P: showing master.cf, and the patterns that choose entries of it. */

#include "postconf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

void pattern_init(struct master_pattern *pattern, const char *text, int parts, bool needs_all,
		  bool has_value)
{
	struct span rest = span_of(text), value = { NULL, 0 }, part;
	char **targets[] = { &pattern->name, &pattern->type, &pattern->rest };
	int count = 0;

	*pattern = (struct master_pattern){ .text = text };
	if (has_value) {
		if (!span_cut(rest, '=', &rest, &value))
			fatal("missing '=' after attribute name: \"%s\"", text);
		pattern->value = mem_dup(span_trim(value));
	}
	rest = span_trim(rest);
	while (count < parts && rest.n > 0) {
		if (!span_cut(rest, '/', &part, &rest)) {
			part = rest;
			rest.n = 0;
		}
		*targets[count++] = mem_dup(part);
	}
	if (rest.n > 0 || count == 0 || (needs_all && count < parts))
		fatal("\"%s\": expected service_name/type%s", text,
		      parts == 3 ? "/field or parameter" : "");
	while (count < parts)
		*targets[count++] = mem_dup_str("*");
}

void pattern_done(struct master_pattern *pattern)
{
	free(pattern->name);
	free(pattern->type);
	free(pattern->rest);
	free(pattern->value);
}

bool pattern_takes(const char *part, const char *text)
{
	return strcmp(part, "*") == 0 || strcmp(part, text) == 0;
}

bool pattern_takes_service(const struct master_pattern *pattern,
			   const struct master_service *service)
{
	return pattern_takes(pattern->name, service->name) &&
	       pattern_takes(pattern->type, service->type_name);
}

enum master_column column_find(const char *name)
{
	for (int i = 0; i < MASTER_COL_COUNT; i++)
		if (strcmp(master_column_names[i], name) == 0)
			return (enum master_column)i;
	fatal("invalid service attribute name: \"%s\"", name);
}

/* Shows what one pattern chooses of one service, and returns how many things that were. */
typedef int show_fn(struct postconf *pc, struct master_service *service, const char *rest);

static void show_matches(struct postconf *pc, char **texts, int parts, show_fn *show)
{
	static char all[] = "*";
	char *everything[] = { all, NULL };

	if (texts[0] == NULL)
		texts = everything;
	for (; *texts != NULL; texts++) {
		struct master_pattern pattern;

		pattern_init(&pattern, *texts, parts, false, false);
		for (size_t i = 0; i < pc->services.count; i++)
			if (pattern_takes_service(&pattern, pc->services.services[i]))
				pattern.matches += show(pc, pc->services.services[i], pattern.rest);
		if (pattern.matches == 0 && *texts != all)
			log_warn("unmatched request: \"%s\"", *texts);
		pattern_done(&pattern);
	}
}

/* With -x the -o settings of the entry become what they stand for. */
static void expand_service(const struct postconf *pc, struct master_service *service)
{
	for (int i = 0; pc->expands && i + 1 < service->word_count; i++) {
		struct span name, value;
		char *text, *expanded;

		if (service->words[i][0] != '-')
			return;
		if (strcmp(service->words[i], "-o") != 0)
			continue;
		i++;
		if (conf_assignment_parse(span_of(service->words[i]), &name, &value) != NULL)
			continue;
		text = mem_dup(name);
		expanded = display_value(pc, service, text, value.p);
		free(service->words[i]);
		service->words[i] = mem_printf("%s=%s", text, expanded);
		free(expanded);
		free(text);
	}
}

static const char *field_value(struct buf *buf, const struct master_service *service, int column)
{
	if (column < MASTER_COL_COMMAND)
		return service->columns[column];
	buf_reset(buf);
	format_command(buf, service, 0, false);
	return buf_str(buf);
}

static int show_service(struct postconf *pc, struct master_service *service, const char *rest)
{
	struct buf out = BUF_INIT(BUF_LIMIT_DEFAULT);

	(void)rest;
	expand_service(pc, service);
	if (pc->is_json) {
		struct json_pair pairs[MASTER_COL_COUNT];

		for (int i = 0; i < MASTER_COL_COUNT; i++)
			pairs[i] = (struct json_pair){ master_column_names[i],
						       field_value(&out, service, i) };
		print_json(pairs, MASTER_COL_COUNT);
	} else {
		format_service(&out, service, pc->folds);
		fputs(buf_str(&out), stdout);
	}
	buf_done(&out);
	return 1;
}

void show_services(struct postconf *pc, char **patterns)
{
	show_matches(pc, patterns, 2, show_service);
}

/* Prints "service/type/name = value" or its JSON. */
static void show_part(struct postconf *pc, const struct master_service *service,
		      const char *kind, const char *name, const char *value)
{
	if (pc->is_json) {
		print_json((struct json_pair[]){ { "service", service->name },
						 { "type", service->type_name },
						 { kind, name },
						 { "value", value } },
			   4);
	} else {
		char *label = mem_printf("%s/%s/%s", service->name, service->type_name, name);

		print_setting(pc, label, value);
		free(label);
	}
}

static void show_folded_command(const struct postconf *pc, const struct master_service *service)
{
	struct buf out = BUF_INIT(BUF_LIMIT_DEFAULT);

	if (!pc->hides_names)
		buf_printf(&out, "%s/%s/%s = ", service->name, service->type_name,
			   master_column_names[MASTER_COL_COMMAND]);
	format_command(&out, service, buf_span(&out).n, true);
	puts(buf_str(&out));
	buf_done(&out);
}

static int show_service_fields(struct postconf *pc, struct master_service *service,
			       const char *rest)
{
	struct buf buf = BUF_INIT(BUF_LIMIT_DEFAULT);
	bool folds_command = pc->folds && !pc->hides_values;
	int shown = 0;

	if (strcmp(rest, "*") != 0)
		(void)column_find(rest);
	expand_service(pc, service);
	for (int i = 0; i < MASTER_COL_COUNT; i++)
		if (pattern_takes(rest, master_column_names[i])) {
			shown++;
			if (i == MASTER_COL_COMMAND && folds_command)
				show_folded_command(pc, service);
			else
				show_part(pc, service, "field", master_column_names[i],
					  field_value(&buf, service, i));
		}
	buf_done(&buf);
	return shown;
}

void show_fields(struct postconf *pc, char **patterns)
{
	show_matches(pc, patterns, 3, show_service_fields);
}

static int compare_settings(const void *a, const void *b)
{
	const struct conf_setting *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

static int show_service_params(struct postconf *pc, struct master_service *service,
			       const char *rest)
{
	const struct conf_dict *dict = &service->overrides;
	struct conf_setting **sorted = mem_array(dict->count + 1, sizeof(*sorted));
	size_t count = 0;

	for (size_t i = 0; i < dict->count; i++)
		if (!dict->settings[i]->is_overridden && pattern_takes(rest, dict->settings[i]->name))
			sorted[count++] = dict->settings[i];
	qsort(sorted, count, sizeof(*sorted), compare_settings);
	for (size_t i = 0; i < count; i++) {
		char *text = display_value(pc, service, sorted[i]->name, sorted[i]->value);

		show_part(pc, service, "parameter", sorted[i]->name, text);
		free(text);
	}
	free(sorted);
	return count > 0 || strcmp(rest, "*") == 0;
}

void show_params(struct postconf *pc, char **patterns)
{
	show_matches(pc, patterns, 3, show_service_params);
}
