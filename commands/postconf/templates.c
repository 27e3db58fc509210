/* SPDX-License-Identifier: MIT */
/* postconf -b and -t: the templates of delivery status notices, expanded or not. */

#include "postconf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/load.h"
#include "conf/template.h"

static void log_problem(void *context, const struct conf_problem *problem)
{
	(void)context;
	if (problem->severity == CONF_IS_ERROR)
		fatal("%s", conf_problem_text(problem));
	log_warn("%s", conf_problem_text(problem));
}

/* The file that main.cf names, or "". */
static char *configured_path(const struct conf_scope *scope)
{
	struct buf value = BUF_INIT(CONF_VALUE_MAX);
	struct conf_report report = { .report = log_problem };

	if (!conf_evaluate_one(scope, conf_param_find(SPAN("bounce_template_file")), &report, &value))
		fatal("bad value of bounce_template_file");
	return buf_steal(&value);
}

static void show_template(const struct conf_template *template, const char *name)
{
	printf("%s_template = <<EOF\nCharset: %s\nFrom: %s\nSubject: %s\n", name, template->charset,
	       template->from, template->subject);
	if (template->postmaster_subject[0] != '\0')
		printf("Postmaster-Subject: %s\n", template->postmaster_subject);
	printf("\n%sEOF\n", template->text);
}

static void show_expanded(const struct conf_template *template, const char *name,
			  const struct conf_scope *scope)
{
	struct buf text = BUF_INIT(BUF_LIMIT_DEFAULT);
	char error[CONF_EXPAND_ERROR_MAX];

	if (!conf_template_expand(template, scope, &text, error))
		fatal("%s_template: %s", name, error);
	printf("expanded_%s_text = <<EOF\n%sEOF\n", name, buf_str(&text));
	buf_done(&text);
}

void show_templates(struct postconf *pc, const char *path, bool expands)
{
	struct conf_report report = { .report = log_problem };
	struct conf_scope scope = {
		.main = &pc->main, .config_directory = pc->directory, .process_name = "postconf",
	};
	struct conf_templates templates;
	struct buf text;
	char *file;

	if (!conf_dict_read(&pc->main, pc->main_path, &report))
		fatal("open %s: %s", pc->main_path, strerror(errno));
	file = path != NULL ? mem_dup_str(path) : configured_path(&scope);
	conf_templates_init(&templates);
	if (file[0] != '\0') {
		if (!conf_file_read(file, &text))
			fatal("open %s: %s", file, strerror(errno));
		conf_templates_parse(&templates, buf_span(&text), file, &report);
		buf_done(&text);
	}
	for (size_t i = 0; i < CONF_TEMPLATE_COUNT; i++) {
		if (i > 0)
			putchar('\n');
		if (expands)
			show_expanded(&templates.list[i], conf_template_names[i], &scope);
		else
			show_template(&templates.list[i], conf_template_names[i]);
	}
	conf_templates_done(&templates);
	free(file);
}
