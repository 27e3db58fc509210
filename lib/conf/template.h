/* SPDX-License-Identifier: MIT */
#ifndef CONF_TEMPLATE_H
#define CONF_TEMPLATE_H

/*
 * Templates of delivery status notices (bounce(5)): headers and a text with $name in it, from
 * the file that bounce_template_file names, or built in.
 */

#include "conf/expand.h"

enum conf_template_kind {
	CONF_TEMPLATE_FAILURE,
	CONF_TEMPLATE_DELAY,
	CONF_TEMPLATE_SUCCESS,
	CONF_TEMPLATE_VERIFY,
	CONF_TEMPLATE_COUNT
};

struct conf_template {
	char *charset;
	char *from;
	char *subject;
	char *postmaster_subject; /* "": there is none */
	char *text; /* lines with LF */
};

struct conf_templates {
	struct conf_template list[CONF_TEMPLATE_COUNT];
};

/* "failure", "delay", "success", "verify" */
extern const char *const conf_template_names[CONF_TEMPLATE_COUNT];

/* The built-in templates; ends with conf_templates_done(). */
void conf_templates_init(struct conf_templates *templates);
void conf_templates_done(struct conf_templates *templates);

/*
 * Replaces templates by those in the text of a template file; `file` is for messages. A template
 * with an error is reported and left as it was.
 */
void conf_templates_parse(struct conf_templates *templates, struct span text, const char *file,
			  struct conf_report *report);

/*
 * Appends the text with its $name expanded: parameters of the scope, and of
 * delay_warning_time and maximal_queue_lifetime also NAME_seconds, _minutes, _hours, _days and
 * _weeks. False with `error` as conf_expand().
 */
MUST_USE bool conf_template_expand(const struct conf_template *template,
				   const struct conf_scope *scope, struct buf *ret, char *error);

#endif
