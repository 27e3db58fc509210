/* SPDX-License-Identifier: MIT */
/* What commands find in their environment; see environment.h. Values are remote text. */

#include "deliver/environment.h"

#include <paths.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words.h"
#include "conf/snapshot.h"
#include "deliver/expand.h"
#include "ipc/messages.h"

void environment_add(struct buf *out, const char *name, struct span value, const char *allowed)
{
	if (value.n == 0)
		return;
	(void)buf_printf(out, "%s=", name);
	expand_filter(out, value, allowed);
	(void)buf_char(out, '\0');
}

/* "NAME", "NAME=value" or "{ NAME=value }". */
static void add_exported(struct buf *out, struct span word)
{
	struct span inner, left, right;
	const char *reason, *value;
	char *name;

	if (word.n > 0 && word.p[0] == '{' && words_unbrace(word, &inner, &reason))
		word = inner;
	if (span_cut(word, '=', &left, &right)) {
		name = mem_dup(span_trim(left));
		environment_add(out, name, span_trim(right), NULL);
		free(name);
		return;
	}
	name = mem_dup(word);
	value = getenv(name);
	if (value != NULL) {
		environment_add(out, name, span_of(value), NULL);
	} else if (strcmp(name, "MAIL_CONFIG") == 0) {
		/* Commands that submit mail find this instance by it. */
		if (conf_snapshot_extra_get("config_directory", &inner))
			environment_add(out, name, inner, NULL);
	}
	free(name);
}

void environment_start(struct buf *out, const char *export_environment)
{
	struct span rest = span_of(export_environment), word;

	environment_add(out, "PATH", span_of(_PATH_DEFPATH), NULL);
	while ((word = words_next(&rest, WORDS_BLANK_OR_COMMA)).n > 0)
		add_exported(out, word);
}

void environment_add_client(struct buf *out, const struct msg_envelope *envelope,
			    const char *allowed)
{
	environment_add(out, "CLIENT_HOSTNAME", envelope->log_client_name, allowed);
	environment_add(out, "CLIENT_ADDRESS", envelope->log_client_addr, allowed);
	environment_add(out, "CLIENT_PORT", envelope->log_client_port, allowed);
	environment_add(out, "CLIENT_PROTOCOL", envelope->log_protocol, allowed);
	environment_add(out, "CLIENT_HELO", envelope->log_helo, allowed);
	environment_add(out, "SASL_METHOD", envelope->sasl_method, allowed);
	environment_add(out, "SASL_USERNAME", envelope->sasl_username, allowed);
	environment_add(out, "SASL_SENDER", envelope->sasl_sender, allowed);
}
