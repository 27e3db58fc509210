/* SPDX-License-Identifier: MIT */
/*
 * unix:passwd.byname and unix:group.byname, the system's accounts as lines of passwd(5) and
 * group(5). Name services need files and sockets that no jail has: there it goes by proxy.
 */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "table/backend.h"

enum { ENTRY_FIRST = 4096, ENTRY_MAX = 16 * 1024 * 1024 };

static bool is_passwd(const struct table *table)
{
	return strcmp(table->rest, "passwd.byname") == 0;
}

static bool unix_open(struct table *table, struct buf *ret_error)
{
	if (is_passwd(table) || strcmp(table->rest, "group.byname") == 0)
		return true;
	buf_printf(ret_error, "unknown table: %s", table->name);
	return false;
}

/* Both return 0, with *ret_line as long as there is such an account, or an error number. */
static int passwd_line(const char *name, char *space, size_t size, struct buf *ret_line)
{
	struct passwd entry, *found;
	int error = getpwnam_r(name, &entry, space, size, &found);

	if (error == 0 && found != NULL)
		buf_printf(ret_line, "%s:%s:%ld:%ld:%s:%s:%s", entry.pw_name, entry.pw_passwd,
			   (long)entry.pw_uid, (long)entry.pw_gid, entry.pw_gecos, entry.pw_dir,
			   entry.pw_shell);
	return error;
}

static int group_line(const char *name, char *space, size_t size, struct buf *ret_line)
{
	struct group entry, *found;
	int error = getgrnam_r(name, &entry, space, size, &found);

	if (error != 0 || found == NULL)
		return error;
	buf_printf(ret_line, "%s:%s:%ld:", entry.gr_name, entry.gr_passwd, (long)entry.gr_gid);
	for (char **member = entry.gr_mem; *member != NULL; member++)
		buf_printf(ret_line, "%s%s", member == entry.gr_mem ? "" : ",", *member);
	return 0;
}

static enum table_status unix_lookup(struct table *table, struct lookup *lookup UNUSED,
				     struct span key, struct span *ret_value)
{
	struct buf space = BUF_INIT(ENTRY_MAX);
	int error = ERANGE;

	buf_reset(&table->value);
	for (size_t size = ENTRY_FIRST; error == ERANGE; size *= 4) {
		char *room = buf_room(&space, size);

		if (room == NULL)
			break;
		error = is_passwd(table) ? passwd_line(key.p, room, size, &table->value)
					 : group_line(key.p, room, size, &table->value);
	}
	buf_done(&space);
	if (error != 0 && error != ENOENT && error != ESRCH)
		return table_fail(table, "table %s: lookup of \"%s\": %s", table->name, key.p,
				  strerror(error));
	*ret_value = buf_span(&table->value);
	return ret_value->n > 0 ? TABLE_FOUND : TABLE_NOT_FOUND;
}

static const struct table_ops unix_ops = { .open = unix_open, .lookup = unix_lookup };
const struct table_type table_type_unix = { "unix", 0, sizeof(struct table), &unix_ops };
