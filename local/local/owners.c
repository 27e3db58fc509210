/* SPDX-License-Identifier: MIT */
/*
 * Owners of alias databases: commands and files in an alias have the rights of the database's owner,
 * unless that is root (local(8), DELIVERY RIGHTS). Looked up as root in prepare(); a database
 * that changes its owner makes no difference before the next reload.
 */

#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/words.h"
#include "conf/conf.h"
#include "local/local/local.h"

static struct htab owners; /* "type:name" as in alias_maps -> name of the user */

static const char *suffix_of(struct span type)
{
	if (span_is(type, "hash") || span_is(type, "btree"))
		return ".db";
	if (span_is(type, "lmdb"))
		return ".lmdb";
	return span_is(type, "cdb") ? ".cdb" : "";
}

void owners_prepare(void)
{
	struct span rest = span_of(conf->alias_maps), table, type, name;
	const struct passwd *user;
	struct stat st;

	while ((table = words_next(&rest, WORDS_BLANK_OR_COMMA)).n > 0) {
		if (span_starts(table, SPAN("proxy:")))
			table = span_from(table, 6);
		if (!span_cut(table, ':', &type, &name) || name.n == 0 || name.p[0] != '/')
			continue;

		char *path = mem_printf("%.*s%s", SPAN_ARG(name), suffix_of(type));

		if (stat(path, &st) == 0 && st.st_uid != 0 && (user = getpwuid(st.st_uid)) != NULL)
			(void)htab_put(&owners, table, mem_dup_str(user->pw_name));
		free(path);
	}
}

const struct user *owner_of(struct run *run, struct span table)
{
	const char *name;
	struct user *user;

	if (span_starts(table, SPAN("proxy:")))
		table = span_from(table, 6);
	name = htab_get(&owners, table);
	if (name == NULL)
		return NULL;
	user = arena_alloc(&run->delivery->arena, sizeof(*user));
	return user_find(run, span_of(name), user) == 0 ? user : NULL;
}
