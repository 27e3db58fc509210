/* SPDX-License-Identifier: MIT */
/*
 * What master and everything that it starts find in their environment; see environment.h. Who
 * started the mail system, perhaps from a terminal, may have anything in his.
 */

#include "master/environment.h"

#include <paths.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/words.h"

/* "NAME=value" of this word; "" when it names a variable that is not there. */
static void take_word(struct span word, struct buf *out)
{
	struct span inner, left, right;
	const char *reason, *value;
	char *name;

	if (word.p[0] == '{' && words_unbrace(word, &inner, &reason))
		word = inner;
	if (span_cut(word, '=', &left, &right)) {
		left = span_trim(left);
		right = span_trim(right);
		(void)buf_printf(out, "%.*s=%.*s", SPAN_ARG(left), SPAN_ARG(right));
	} else {
		name = mem_dup(word);
		value = getenv(name);
		if (value != NULL)
			(void)buf_printf(out, "%s=%s", name, value);
		free(name);
	}
	(void)buf_char(out, '\0');
}

static void set_all(struct span settings)
{
	struct span setting, name, value;

	while (span_cut(settings, '\0', &setting, &settings)) {
		if (!span_cut(setting, '=', &name, &value) || name.n == 0)
			continue;

		char *name_text = mem_dup(name), *value_text = mem_dup(value);

		if (setenv(name_text, value_text, 1) < 0)
			fatal("import_environment: %s: cannot be set", name_text);
		free(name_text);
		free(value_text);
	}
}

void environment_import(const char *names)
{
	enum { ENVIRONMENT_MAX = 1024 * 1024 };
	struct span rest = span_of(names), word;
	struct buf settings = BUF_INIT(ENVIRONMENT_MAX);

	take_word(SPAN("PATH=" _PATH_DEFPATH), &settings);
	take_word(SPAN("NOTIFY_SOCKET"), &settings);
	while ((word = words_next(&rest, WORDS_BLANK_OR_COMMA)).n > 0)
		take_word(word, &settings);
	(void)clearenv();
	set_all(buf_span(&settings));
	buf_done(&settings);
}
