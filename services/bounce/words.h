/* SPDX-License-Identifier: MIT */
#ifndef BOUNCE_WORDS_H
#define BOUNCE_WORDS_H

/*
 * The words of notifications: master reads bounce_template_file (conf/template.h), expands it
 * with main.cf, and gives the result along with the configuration.
 */

enum words_kind { WORDS_FAILURE, WORDS_DELAY, WORDS_SUCCESS, WORDS_VERIFY, WORDS_COUNT };

struct words {
	const char *charset;
	const char *from;
	const char *subject;
	const char *postmaster_subject; /* "": as subject */
	const char *text;               /* lines with LF */
};

/* In prepare(). */
void words_load(void);
const struct words *words_get(enum words_kind kind);

#endif
