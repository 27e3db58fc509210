/* SPDX-License-Identifier: MIT */
/*
 * lmdb: tables, files that Postfix can read and write as well (lmdb_table(5)). As there, the
 * library's own locking is off; readers hold a shared flock(2) during an access, writers the
 * exclusive one from their first change to table_commit(), which is one transaction.
 */

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/mem.h"
#include "table/database.h"
#include "table/rebuild.h"

/* Address space for a writer, not memory or disk. */
#define WRITE_MAP_BYTES (sizeof(size_t) > 4 ? (size_t)1 << 36 : (size_t)1 << 29)

struct lmdb_table {
	struct table base;
	MDB_env *env;
	MDB_dbi dbi;
	MDB_txn *write; /* open from the first change to table_commit() */
	MDB_txn *walk;
	MDB_cursor *cursor;
	int fd; /* of the file, to lock it */
	struct nul_rule nul;
	struct buf key; /* of the entry that the walk is at */
	struct rebuild rebuild;
};

static struct lmdb_table *lmdb_of(struct table *table)
{
	return CONTAINER_OF(table, struct lmdb_table, base);
}

static bool lmdb_failed(struct table *table, const char *what, int error)
{
	(void)table_fail(table, "%s database %s: %s", what, table->path, mdb_strerror(error));
	return false;
}

static bool lmdb_open(struct table *table, struct buf *ret_error UNUSED)
{
	struct lmdb_table *lmdb = lmdb_of(table);

	table->path = mem_printf("%s.lmdb", table->rest);
	lmdb->fd = -1;
	lmdb->nul = nul_rule_of(table);
	lmdb->rebuild = (struct rebuild){ .fd = -1, .lock_fd = -1 };
	buf_init(&lmdb->key, TABLE_VALUE_MAX);
	return true;
}

static void unlock(struct lmdb_table *lmdb)
{
	if (lmdb->fd >= 0)
		(void)table_lock(lmdb->fd, LOCK_UN);
}

static void stop_walk(struct lmdb_table *lmdb)
{
	if (lmdb->walk == NULL)
		return;
	mdb_cursor_close(lmdb->cursor);
	mdb_txn_abort(lmdb->walk);
	lmdb->walk = NULL;
	lmdb->cursor = NULL;
	unlock(lmdb);
}

static void shut(struct lmdb_table *lmdb)
{
	stop_walk(lmdb);
	if (lmdb->write != NULL)
		mdb_txn_abort(lmdb->write);
	if (lmdb->env != NULL)
		mdb_env_close(lmdb->env);
	if (lmdb->fd >= 0)
		close(lmdb->fd);
	lmdb->write = NULL;
	lmdb->env = NULL;
	lmdb->fd = -1;
}

static int attach(struct lmdb_table *lmdb, const char *path, unsigned env_flags, size_t map_bytes,
		  unsigned mode)
{
	bool may_write = !(env_flags & MDB_RDONLY);
	MDB_txn *txn;
	int error = mdb_env_create(&lmdb->env);

	if (error == 0)
		error = mdb_env_set_mapsize(lmdb->env, map_bytes);
	if (error == 0)
		error = mdb_env_open(lmdb->env, path, env_flags | MDB_NOSUBDIR | MDB_NOLOCK, mode);
	if (error == 0)
		error = mdb_txn_begin(lmdb->env, NULL, may_write ? 0 : MDB_RDONLY, &txn);
	if (error != 0)
		return error;
	error = mdb_dbi_open(txn, NULL, may_write ? MDB_CREATE : 0, &lmdb->dbi);
	if (error != 0) {
		mdb_txn_abort(txn);
		return error;
	}
	return mdb_txn_commit(txn);
}

static bool load_new(struct table *table)
{
	struct lmdb_table *lmdb = lmdb_of(table);

	if (!rebuild_begin(&lmdb->rebuild, table->path, &table->error))
		return false;

	int error = attach(lmdb, lmdb->rebuild.temp, 0, WRITE_MAP_BYTES, 0600);

	return error == 0 || lmdb_failed(table, "create", error);
}

/* A map that holds the file and what it may grow to until it is opened again. */
static size_t read_map_bytes(const struct stat *st)
{
	size_t size = table_settings()->lmdb_map_bytes;
	size_t file = (size_t)st->st_size;

	return file * 2 > size ? file * 2 : size;
}

static bool load_old(struct table *table)
{
	struct lmdb_table *lmdb = lmdb_of(table);
	bool may_write = (table->flags & TABLE_WRITE) != 0;
	mode_t mode = table_settings()->new_file_mode;
	char copy_name[DATABASE_NAME_MAX];
	const char *name = table->path;
	struct stat st;

	lmdb->fd = may_write ? open(table->path, O_RDWR | O_CREAT | O_CLOEXEC, mode)
			     : database_open(table, copy_name, &name);
	if (lmdb->fd < 0 || !table_lock(lmdb->fd, may_write ? LOCK_EX : LOCK_SH) ||
	    fstat(lmdb->fd, &st) != 0)
		return lmdb_failed(table, "open", errno);

	int error = attach(lmdb, name, may_write ? 0 : MDB_RDONLY,
			   may_write ? WRITE_MAP_BYTES : read_map_bytes(&st), mode);

	unlock(lmdb);
	if (name == table->path)
		table->id = table_file_id(&st);
	return error == 0 || lmdb_failed(table, "open", error);
}

static bool lmdb_load(struct table *table)
{
	bool is_loaded = (table->flags & TABLE_REBUILD) ? load_new(table) : load_old(table);

	if (!is_loaded)
		shut(lmdb_of(table));
	return is_loaded;
}

/* Opens the file again when it was replaced, or has outgrown the map. */
static bool catch_up(struct table *table)
{
	struct lmdb_table *lmdb = lmdb_of(table);

	if (lmdb->write != NULL || lmdb->walk != NULL || (table->flags & TABLE_REBUILD) ||
	    table_file_is(table->path, &table->id))
		return true;
	shut(lmdb);
	table->is_loaded = lmdb_load(table);
	return table->is_loaded;
}

static MDB_val val_of(struct span s, bool with_nul)
{
	union {
		const char *in;
		void *out;
	} data = { .in = s.p };

	return (MDB_val){ .mv_data = data.out, .mv_size = s.n + (with_nul ? 1 : 0) };
}

/* One access with the key in each form that it may have. `key` has a NUL behind it. */
static int with_forms(struct lmdb_table *lmdb, MDB_txn *txn, struct span key, MDB_val *value,
		      int (*access)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *))
{
	int error = MDB_NOTFOUND;

	if (lmdb->nul.may_have_nul) {
		MDB_val stored = val_of(key, true);

		error = access(txn, lmdb->dbi, &stored, value);
		if (error == 0)
			lmdb->nul.may_lack_nul = false;
	}
	if (error == MDB_NOTFOUND && lmdb->nul.may_lack_nul) {
		MDB_val stored = val_of(key, false);

		error = access(txn, lmdb->dbi, &stored, value);
		if (error == 0)
			lmdb->nul.may_have_nul = false;
	}
	/* A key that is longer than the format allows cannot be there. */
	return error == MDB_BAD_VALSIZE ? MDB_NOTFOUND : error;
}

static enum table_status lmdb_get(struct table *table, MDB_txn *txn, struct span key,
				  struct span *ret_value)
{
	MDB_val value;
	int error = with_forms(lmdb_of(table), txn, key, &value, mdb_get);

	if (error == 0)
		return database_value(table, value.mv_data, value.mv_size, ret_value);
	if (error == MDB_NOTFOUND)
		return TABLE_NOT_FOUND;
	(void)lmdb_failed(table, "read", error);
	return TABLE_ERROR;
}

static enum table_status lmdb_lookup(struct table *table, struct lookup *lookup UNUSED,
				     struct span key, struct span *ret_value)
{
	struct lmdb_table *lmdb = lmdb_of(table);
	MDB_txn *txn;

	if (lmdb->write != NULL)
		return lmdb_get(table, lmdb->write, key, ret_value);
	if (!catch_up(table))
		return TABLE_ERROR;
	if (lmdb->fd >= 0 && !table_lock(lmdb->fd, LOCK_SH))
		return table_fail(table, "lock database %s: %s", table->path, strerror(errno));

	int error = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &txn);
	enum table_status status = TABLE_ERROR;

	if (error != 0) {
		(void)lmdb_failed(table, "read", error);
	} else {
		status = lmdb_get(table, txn, key, ret_value);
		mdb_txn_abort(txn);
	}
	if (lmdb->walk == NULL)
		unlock(lmdb);
	return status;
}

/* Opens the one transaction that all changes up to table_commit() are. */
static bool begin_change(struct table *table)
{
	struct lmdb_table *lmdb = lmdb_of(table);

	if (lmdb->write != NULL)
		return true;
	stop_walk(lmdb);
	if (!catch_up(table))
		return false;
	if (lmdb->fd >= 0 && !table_lock(lmdb->fd, LOCK_EX))
		return lmdb_failed(table, "lock", errno);

	int error = mdb_txn_begin(lmdb->env, NULL, 0, &lmdb->write);

	if (error != 0) {
		lmdb->write = NULL;
		unlock(lmdb);
	}
	return error == 0 || lmdb_failed(table, "write", error);
}

static enum table_put lmdb_put(struct table *table, struct span key, struct span value)
{
	struct lmdb_table *lmdb = lmdb_of(table);
	bool with_nul = nul_rule_writes(lmdb->nul, true);
	bool may_replace = (table->flags & TABLE_REPLACE) != 0;

	if (!begin_change(table) || !buf_set(&table->value, value))
		return TABLE_PUT_FAILED;

	MDB_val stored_key = val_of(key, with_nul);
	MDB_val stored_value =
		val_of((struct span){ buf_str(&table->value), value.n }, with_nul);
	int error = mdb_put(lmdb->write, lmdb->dbi, &stored_key, &stored_value,
			    may_replace ? 0 : MDB_NOOVERWRITE);

	if (error == MDB_KEYEXIST)
		return TABLE_DUPLICATE;
	if (error == 0)
		return TABLE_STORED;
	(void)lmdb_failed(table, "write", error);
	return TABLE_PUT_FAILED;
}

static enum table_status lmdb_remove(struct table *table, struct span key)
{
	struct lmdb_table *lmdb = lmdb_of(table);

	if (!begin_change(table))
		return TABLE_ERROR;

	int error = with_forms(lmdb, lmdb->write, key, NULL, mdb_del);

	if (error == 0)
		return TABLE_FOUND;
	if (error == MDB_NOTFOUND)
		return TABLE_NOT_FOUND;
	(void)lmdb_failed(table, "delete from", error);
	return TABLE_ERROR;
}

static bool lmdb_commit(struct table *table)
{
	struct lmdb_table *lmdb = lmdb_of(table);
	struct stat st;
	int error = 0;

	if (lmdb->write != NULL)
		error = mdb_txn_commit(lmdb->write);
	lmdb->write = NULL;
	if (error != 0) {
		unlock(lmdb);
		return lmdb_failed(table, "write", error);
	}
	if (table->flags & TABLE_REBUILD) {
		shut(lmdb);

		bool is_done = rebuild_commit(&lmdb->rebuild, &table->error);

		rebuild_end(&lmdb->rebuild);
		return is_done;
	}
	if (fstat(lmdb->fd, &st) == 0)
		table->id = table_file_id(&st);
	unlock(lmdb);
	return true;
}

/* A walk is one read transaction, under the shared lock to its end. */
static int start_walk(struct lmdb_table *lmdb)
{
	stop_walk(lmdb);
	if (lmdb->fd >= 0 && !table_lock(lmdb->fd, LOCK_SH))
		return errno;

	int error = mdb_txn_begin(lmdb->env, NULL, MDB_RDONLY, &lmdb->walk);

	if (error == 0)
		error = mdb_cursor_open(lmdb->walk, lmdb->dbi, &lmdb->cursor);
	else
		lmdb->walk = NULL;
	return error;
}

static enum table_status lmdb_next(struct table *table, bool is_first, struct span *ret_key,
				   struct span *ret_value)
{
	struct lmdb_table *lmdb = lmdb_of(table);
	MDB_val key, value;
	int error = 0;

	if (is_first) {
		if (!catch_up(table))
			return TABLE_ERROR;
		error = start_walk(lmdb);
	}
	if (error == 0 && lmdb->walk == NULL)
		return TABLE_NOT_FOUND;
	if (error == 0)
		error = mdb_cursor_get(lmdb->cursor, &key, &value, MDB_NEXT);
	if (error != 0) {
		stop_walk(lmdb);
		if (error == MDB_NOTFOUND)
			return TABLE_NOT_FOUND;
		(void)lmdb_failed(table, "walk", error);
		return TABLE_ERROR;
	}
	buf_set(&lmdb->key, database_text(key.mv_data, key.mv_size));
	*ret_key = buf_span(&lmdb->key);
	return database_value(table, value.mv_data, value.mv_size, ret_value);
}

static void lmdb_close(struct table *table)
{
	struct lmdb_table *lmdb = lmdb_of(table);

	shut(lmdb);
	rebuild_end(&lmdb->rebuild);
	buf_done(&lmdb->key);
}

static const struct table_ops lmdb_ops = {
	.open = lmdb_open,
	.load = lmdb_load,
	.lookup = lmdb_lookup,
	.put = lmdb_put,
	.remove = lmdb_remove,
	.commit = lmdb_commit,
	.next = lmdb_next,
	.close = lmdb_close,
};
const struct table_type table_type_lmdb = { "lmdb", CAN_CREATE | CAN_WRITE,
					    sizeof(struct lmdb_table), &lmdb_ops };
