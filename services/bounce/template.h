/* SPDX-License-Identifier: MIT */
#ifndef BOUNCE_TEMPLATE_H
#define BOUNCE_TEMPLATE_H

/* The words of notifications: built in, or from bounce_template_file (bounce(5)). */

#include "base/buf.h"

enum template_kind {
	TEMPLATE_FAILURE,
	TEMPLATE_DELAY,
	TEMPLATE_SUCCESS,
	TEMPLATE_VERIFY,
	TEMPLATE_COUNT
};

struct template {
	const char *name; /* "failure_template" */
	const char *charset;
	const char *from;
	const char *subject;
	const char *postmaster_subject;
	const char *text; /* lines with LF, before $name is expanded */
};

/*
 * The templates in effect. template_load() replaces those that the text of a template file has;
 * what is wrong in it is said to the log, with `path`, and the built-in words stay.
 */
const struct template *template_get(enum template_kind kind);
void template_load(const char *path, struct span text);

/* Appends the text with $name expanded, as lines with LF. */
void template_expand(const struct template *template, struct buf *out);

#endif
