/* SPDX-License-Identifier: MIT */
/*
 * hash: and btree: tables, Berkeley DB 5.3 files that Postfix can read and write as well
 * (DATABASE_README). Readers hold a shared flock(2) during each access and look whether the
 * file was replaced or changed, since the library caches pages. In-place writers hold the
 * exclusive lock from their first change to table_commit().
 *
 * The library reads a file DB_CONFIG from its home directory, by default the current one; the
 * home here is "/", where only root can put one.
 */

#include <db.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/mem.h"
#include "table/database.h"
#include "table/rebuild.h"

struct bdb_table {
	struct table base;
	DB_ENV *env;
	DB *db;
	DBC *cursor; /* of a walk */
	int fd; /* of the file, to lock it */
	bool is_locked; /* exclusively, until table_commit() */
	struct nul_rule nul;
	struct buf key; /* of the entry that the walk is at */
	struct rebuild rebuild;
};

static struct bdb_table *bdb_of(struct table *table)
{
	return CONTAINER_OF(table, struct bdb_table, base);
}

static bool bdb_failed(struct table *table, const char *what, int error)
{
	(void)table_fail(table, "%s database %s: %s", what, table->path, db_strerror(error));
	return false;
}

static bool bdb_open(struct table *table, struct buf *ret_error)
{
	struct bdb_table *bdb = bdb_of(table);
	char here[4096] = "";

	/* The library takes relative names from its home. */
	if (table->rest[0] != '/' && getcwd(here, sizeof(here)) == NULL) {
		buf_printf(ret_error, "open database %s: %s", table->rest, strerror(errno));
		return false;
	}
	table->path = here[0] != '\0' ? mem_printf("%s/%s.db", here, table->rest)
				      : mem_printf("%s.db", table->rest);
	bdb->fd = -1;
	bdb->nul = nul_rule_of(table);
	bdb->rebuild = (struct rebuild){ .fd = -1, .lock_fd = -1 };
	buf_init(&bdb->key, TABLE_VALUE_MAX);
	return true;
}

static void stop_walk(struct bdb_table *bdb)
{
	if (bdb->cursor != NULL)
		(void)bdb->cursor->close(bdb->cursor);
	bdb->cursor = NULL;
}

/* Closes the database, which writes what it still has. Returns the library's error or 0. */
static int shut(struct bdb_table *bdb)
{
	int error = 0;

	stop_walk(bdb);
	if (bdb->db != NULL)
		error = bdb->db->close(bdb->db, 0);
	if (bdb->env != NULL)
		(void)bdb->env->close(bdb->env, 0);
	if (bdb->fd >= 0)
		close(bdb->fd);
	bdb->db = NULL;
	bdb->env = NULL;
	bdb->fd = -1;
	bdb->is_locked = false;
	return error;
}

static void say_nothing(const DB_ENV *env UNUSED, const char *prefix UNUSED,
			const char *text UNUSED)
{
}

/* Opens the library on `path`; the DB_ constants choose how. */
static int attach(struct bdb_table *bdb, const char *path, uint32_t db_flags, size_t cache_bytes)
{
	bool is_hash = bdb->base.type == &table_type_hash;
	int error = db_env_create(&bdb->env, 0);

	if (error != 0)
		return error;
	bdb->env->set_errcall(bdb->env, say_nothing);
	error = bdb->env->set_cachesize(bdb->env, 0, (uint32_t)cache_bytes, 1);
	if (error == 0)
		error = bdb->env->open(bdb->env, "/", DB_CREATE | DB_INIT_MPOOL | DB_PRIVATE, 0);
	if (error == 0)
		error = db_create(&bdb->db, bdb->env, 0);
	if (error == 0)
		error = bdb->db->open(bdb->db, NULL, path, NULL, is_hash ? DB_HASH : DB_BTREE,
				      db_flags, 0);
	return error;
}

static bool load_new(struct table *table)
{
	struct bdb_table *bdb = bdb_of(table);

	if (!rebuild_begin(&bdb->rebuild, table->path, &table->error))
		return false;

	int error = attach(bdb, bdb->rebuild.temp, DB_CREATE,
			   table_settings()->db_create_buffer_bytes);

	return error == 0 || bdb_failed(table, "create", error);
}

/* Opens the existing file, or a new one for TABLE_WRITE, under its lock. */
static bool load_old(struct table *table)
{
	struct bdb_table *bdb = bdb_of(table);
	bool may_write = (table->flags & TABLE_WRITE) != 0;
	char copy_name[DATABASE_NAME_MAX];
	const char *name = table->path;
	struct stat st;

	bdb->fd = may_write ? open(table->path, O_RDWR | O_CREAT | O_CLOEXEC,
				   table_settings()->new_file_mode)
			    : database_open(table, copy_name, &name);
	if (bdb->fd < 0 || !table_lock(bdb->fd, may_write ? LOCK_EX : LOCK_SH) ||
	    fstat(bdb->fd, &st) != 0)
		return bdb_failed(table, "open", errno);

	int error = attach(bdb, name, may_write ? DB_CREATE : DB_RDONLY,
			   table_settings()->db_read_buffer_bytes);

	if (error == 0 && may_write && st.st_size == 0)
		error = bdb->db->sync(bdb->db, 0);
	(void)table_lock(bdb->fd, LOCK_UN);
	if (error == EINVAL)
		(void)table_fail(table, "open database %s: not a %s file", table->path,
				 table->type->name);
	else if (error != 0)
		(void)bdb_failed(table, "open", error);
	else if (name == table->path)
		table->id = table_file_id(&st);
	return error == 0;
}

static bool bdb_load(struct table *table)
{
	bool is_loaded = (table->flags & TABLE_REBUILD) ? load_new(table) : load_old(table);

	if (!is_loaded)
		(void)shut(bdb_of(table));
	return is_loaded;
}

/* Opens the file again when somebody else has changed or replaced it. */
static bool catch_up(struct table *table)
{
	struct bdb_table *bdb = bdb_of(table);

	if (bdb->is_locked || (table->flags & TABLE_REBUILD) ||
	    table_file_is(table->path, &table->id))
		return true;
	(void)shut(bdb);
	table->is_loaded = bdb_load(table);
	return table->is_loaded;
}

static bool lock_for(struct bdb_table *bdb, int operation)
{
	return bdb->is_locked || bdb->fd < 0 || table_lock(bdb->fd, operation);
}

static void unlock(struct bdb_table *bdb)
{
	if (!bdb->is_locked && bdb->fd >= 0)
		(void)table_lock(bdb->fd, LOCK_UN);
}

/* The library does not write to keys and values given to it, but takes them without const. */
static DBT dbt_of(struct span s, bool with_nul)
{
	union {
		const char *in;
		void *out;
	} data = { .in = s.p };

	return (DBT){ .data = data.out, .size = (uint32_t)(s.n + (with_nul ? 1 : 0)) };
}

/* One access with the key in each form that it may have. `key` has a NUL behind it. */
static int with_forms(struct bdb_table *bdb, struct span key, DBT *value,
		      int (*access)(DB *, DBT *, DBT *))
{
	int error = DB_NOTFOUND;

	if (bdb->nul.may_have_nul) {
		DBT stored = dbt_of(key, true);

		error = access(bdb->db, &stored, value);
		if (error == 0)
			bdb->nul.may_lack_nul = false;
	}
	if (error == DB_NOTFOUND && bdb->nul.may_lack_nul) {
		DBT stored = dbt_of(key, false);

		error = access(bdb->db, &stored, value);
		if (error == 0)
			bdb->nul.may_have_nul = false;
	}
	return error;
}

static int get_entry(DB *db, DBT *key, DBT *value)
{
	return db->get(db, NULL, key, value, 0);
}

static int remove_entry(DB *db, DBT *key, DBT *value UNUSED)
{
	return db->del(db, NULL, key, 0);
}

static enum table_status bdb_lookup(struct table *table, struct lookup *lookup UNUSED,
				    struct span key, struct span *ret_value)
{
	struct bdb_table *bdb = bdb_of(table);
	DBT value = { 0 };

	if (!catch_up(table))
		return TABLE_ERROR;
	if (!lock_for(bdb, LOCK_SH))
		return table_fail(table, "lock database %s: %s", table->path, strerror(errno));

	int error = with_forms(bdb, key, &value, get_entry);
	enum table_status status = TABLE_NOT_FOUND;

	if (error == 0)
		status = database_value(table, value.data, value.size, ret_value);
	else if (error != DB_NOTFOUND) {
		(void)bdb_failed(table, "read", error);
		status = TABLE_ERROR;
	}
	unlock(bdb);
	return status;
}

/* Ready for changes: up to date and locked until table_commit(). */
static bool begin_change(struct table *table)
{
	struct bdb_table *bdb = bdb_of(table);

	if ((table->flags & TABLE_REBUILD) || bdb->is_locked)
		return true;
	if (!catch_up(table))
		return false;
	if (!table_lock(bdb->fd, LOCK_EX))
		return bdb_failed(table, "lock", errno);
	/* Somebody may have written between the look and the lock. */
	if (!table_file_is(table->path, &table->id)) {
		(void)table_lock(bdb->fd, LOCK_UN);
		if (!catch_up(table) || !table_lock(bdb->fd, LOCK_EX))
			return false;
	}
	bdb->is_locked = true;
	return true;
}

static enum table_put bdb_put(struct table *table, struct span key, struct span value)
{
	struct bdb_table *bdb = bdb_of(table);
	bool with_nul = nul_rule_writes(bdb->nul, true);
	bool may_replace = (table->flags & TABLE_REPLACE) != 0;

	if (!begin_change(table) || !buf_set(&table->value, value))
		return TABLE_PUT_FAILED;

	DBT stored_key = dbt_of(key, with_nul);
	DBT stored_value = dbt_of((struct span){ buf_str(&table->value), value.n }, with_nul);
	int error = bdb->db->put(bdb->db, NULL, &stored_key, &stored_value,
				 may_replace ? 0 : DB_NOOVERWRITE);

	if (error == DB_KEYEXIST)
		return TABLE_DUPLICATE;
	if (error == 0)
		return TABLE_STORED;
	(void)bdb_failed(table, "write", error);
	return TABLE_PUT_FAILED;
}

static enum table_status bdb_remove(struct table *table, struct span key)
{
	if (!begin_change(table))
		return TABLE_ERROR;

	int error = with_forms(bdb_of(table), key, NULL, remove_entry);

	if (error == 0)
		return TABLE_FOUND;
	if (error == DB_NOTFOUND)
		return TABLE_NOT_FOUND;
	(void)bdb_failed(table, "delete from", error);
	return TABLE_ERROR;
}

static bool commit_new(struct table *table)
{
	struct bdb_table *bdb = bdb_of(table);
	int error = shut(bdb);
	bool is_done = error == 0 ? rebuild_commit(&bdb->rebuild, &table->error)
				  : bdb_failed(table, "write", error);

	rebuild_end(&bdb->rebuild);
	return is_done;
}

static bool bdb_commit(struct table *table)
{
	struct bdb_table *bdb = bdb_of(table);
	struct stat st;

	if (table->flags & TABLE_REBUILD)
		return commit_new(table);
	if (!bdb->is_locked)
		return true;

	int error = bdb->db->sync(bdb->db, 0);

	if (error == 0 && fstat(bdb->fd, &st) == 0)
		table->id = table_file_id(&st);
	bdb->is_locked = false;
	unlock(bdb);
	return error == 0 || bdb_failed(table, "flush", error);
}

static enum table_status bdb_next(struct table *table, bool is_first, struct span *ret_key,
				  struct span *ret_value)
{
	struct bdb_table *bdb = bdb_of(table);
	DBT key = { 0 }, value = { 0 };
	int error = 0;

	if (is_first) {
		stop_walk(bdb);
		if (!catch_up(table))
			return TABLE_ERROR;
		error = bdb->db->cursor(bdb->db, NULL, &bdb->cursor, 0);
	}
	if (error == 0 && bdb->cursor == NULL)
		return TABLE_NOT_FOUND;
	if (error == 0 && lock_for(bdb, LOCK_SH)) {
		error = bdb->cursor->get(bdb->cursor, &key, &value, DB_NEXT);
		unlock(bdb);
	}
	if (error != 0) {
		stop_walk(bdb);
		if (error == DB_NOTFOUND)
			return TABLE_NOT_FOUND;
		(void)bdb_failed(table, "walk", error);
		return TABLE_ERROR;
	}
	buf_set(&bdb->key, database_text(key.data, key.size));
	*ret_key = buf_span(&bdb->key);
	return database_value(table, value.data, value.size, ret_value);
}

static void bdb_close(struct table *table)
{
	struct bdb_table *bdb = bdb_of(table);

	(void)shut(bdb);
	rebuild_end(&bdb->rebuild);
	buf_done(&bdb->key);
}

static const struct table_ops bdb_ops = {
	.open = bdb_open,
	.load = bdb_load,
	.lookup = bdb_lookup,
	.put = bdb_put,
	.remove = bdb_remove,
	.commit = bdb_commit,
	.next = bdb_next,
	.close = bdb_close,
};
const struct table_type table_type_hash = { "hash", CAN_CREATE | CAN_WRITE,
					    sizeof(struct bdb_table), &bdb_ops };
const struct table_type table_type_btree = { "btree", CAN_CREATE | CAN_WRITE,
					     sizeof(struct bdb_table), &bdb_ops };
