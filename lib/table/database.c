/* SPDX-License-Identifier: MIT */
/* Opening indexed files, and their NUL rules; see database.h. */

#include "table/database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

int database_open(struct table *table, char copy_name[DATABASE_NAME_MAX], const char **ret_name)
{
	const struct table_settings *settings = table_settings();
	int fd = open(table->path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	*ret_name = table->path;
	if (fd >= 0 || errno != EACCES || settings->open_private == NULL)
		return fd;
	fd = settings->open_private(table->path);
	if (fd < 0)
		return -1;
	(void)snprintf(copy_name, DATABASE_NAME_MAX, "/proc/self/fd/%d", fd);
	*ret_name = copy_name;
	/* When the file itself is another one, there will be another copy. */
	if (stat(table->path, &st) == 0)
		table->id = table_file_id(&st);
	return fd;
}

struct nul_rule nul_rule_of(const struct table *table)
{
	return (struct nul_rule){ .may_have_nul = !(table->flags & TABLE_WITHOUT_NUL),
				  .may_lack_nul = !(table->flags & TABLE_WITH_NUL) };
}

bool nul_rule_writes(struct nul_rule rule, bool is_default)
{
	return rule.may_have_nul && rule.may_lack_nul ? is_default : rule.may_have_nul;
}

struct span database_text(const void *data, size_t size)
{
	struct span text = { data, size };

	if (size > 0 && text.p[size - 1] == '\0')
		text.n--;
	return text;
}

enum table_status database_value(struct table *table, const void *data, size_t size,
				 struct span *ret_value)
{
	if (!buf_set(&table->value, database_text(data, size)))
		return table_fail(table, "table %s: value is too long", table->name);
	*ret_value = span_of(buf_str(&table->value));
	return TABLE_FOUND;
}
