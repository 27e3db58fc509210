/* SPDX-License-Identifier: MIT */
/* The words of notifications, from master's snapshot; see words.h. */

#include "services/bounce/words.h"

#include <stdio.h>

#include "base/mem.h"
#include "conf/snapshot.h"

static struct words all[WORDS_COUNT];

static const char *get(const char *kind, const char *part)
{
	char name[64];
	struct span value;

	(void)snprintf(name, sizeof(name), "template.%s.%s", kind, part);
	return conf_snapshot_extra_get(name, &value) ? mem_dup(value) : "";
}

void words_load(void)
{
	static const char *const names[WORDS_COUNT] = { "failure", "delay", "success", "verify" };

	for (size_t i = 0; i < WORDS_COUNT; i++)
		all[i] = (struct words){
			.charset = get(names[i], "charset"),
			.from = get(names[i], "from"),
			.subject = get(names[i], "subject"),
			.postmaster_subject = get(names[i], "postmaster_subject"),
			.text = get(names[i], "text"),
		};
}

const struct words *words_get(enum words_kind kind)
{
	return &all[kind];
}
