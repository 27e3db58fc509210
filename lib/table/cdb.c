/* SPDX-License-Identifier: MIT */
/*
 * cdb: tables, by tinycdb: a mapped file that is never changed, only replaced. It may be used
 * in jailed children of a fork: they share the mapping, and see a new file when their owner
 * opens the table again.
 */

#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "table/database.h"
#include "table/rebuild.h"

struct cdb_table {
	struct table base;
	struct cdb file; /* when reading */
	bool is_mapped;
	struct cdb_make make; /* when writing */
	bool is_making;
	unsigned walk_at;
	struct nul_rule nul;
	struct buf key; /* of the entry that the walk is at */
	struct rebuild rebuild;
};

static struct cdb_table *cdb_of(struct table *table)
{
	return CONTAINER_OF(table, struct cdb_table, base);
}

static bool cdb_open(struct table *table, struct buf *ret_error UNUSED)
{
	struct cdb_table *cdb = cdb_of(table);

	table->path = mem_printf("%s.cdb", table->rest);
	cdb->nul = nul_rule_of(table);
	cdb->rebuild = (struct rebuild){ .fd = -1, .lock_fd = -1 };
	buf_init(&cdb->key, TABLE_VALUE_MAX);
	return true;
}

static bool load_new(struct table *table)
{
	struct cdb_table *cdb = cdb_of(table);

	if (!rebuild_begin(&cdb->rebuild, table->path, &table->error))
		return false;
	cdb->is_making = cdb_make_start(&cdb->make, cdb->rebuild.fd) == 0;
	if (!cdb->is_making)
		(void)table_fail(table, "create database %s: %s", table->path, strerror(errno));
	return cdb->is_making;
}

static bool load_old(struct table *table)
{
	struct cdb_table *cdb = cdb_of(table);
	int fd = open(table->path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && cdb_init(&cdb->file, fd) == 0) {
		cdb->is_mapped = true;
		table->id = table_file_id(&st);
	} else {
		(void)table_fail(table, "open database %s: %s", table->path, strerror(errno));
	}
	/* The mapping needs no descriptor. */
	if (fd >= 0)
		close(fd);
	return cdb->is_mapped;
}

static bool cdb_load(struct table *table)
{
	return (table->flags & TABLE_REBUILD) ? load_new(table) : load_old(table);
}

static int find(struct cdb_table *cdb, struct span key)
{
	int found = 0;

	if (cdb->nul.may_lack_nul) {
		found = cdb_find(&cdb->file, key.p, (unsigned)key.n);
		if (found > 0)
			cdb->nul.may_have_nul = false;
	}
	if (found == 0 && cdb->nul.may_have_nul) {
		found = cdb_find(&cdb->file, key.p, (unsigned)key.n + 1);
		if (found > 0)
			cdb->nul.may_lack_nul = false;
	}
	return found;
}

static enum table_status broken(struct table *table)
{
	return table_fail(table, "read database %s: the file is damaged", table->path);
}

static enum table_status cdb_lookup(struct table *table, struct lookup *lookup UNUSED,
				    struct span key, struct span *ret_value)
{
	struct cdb_table *cdb = cdb_of(table);

	if (!cdb->is_mapped)
		return table_fail(table, "table %s: lookup while it is made", table->name);

	int found = find(cdb, key);

	if (found == 0)
		return TABLE_NOT_FOUND;

	const void *data = found > 0 ? cdb_getdata(&cdb->file) : NULL;

	if (data == NULL)
		return broken(table);
	return database_value(table, data, cdb_datalen(&cdb->file), ret_value);
}

static enum table_put cdb_put(struct table *table, struct span key, struct span value)
{
	struct cdb_table *cdb = cdb_of(table);
	unsigned extra = nul_rule_writes(cdb->nul, false) ? 1 : 0;
	enum cdb_put_mode mode = (table->flags & TABLE_REPLACE) ? CDB_PUT_REPLACE : CDB_PUT_INSERT;

	if (!buf_set(&table->value, value))
		return TABLE_PUT_FAILED;

	int result = cdb_make_put(&cdb->make, key.p, (unsigned)key.n + extra,
				  buf_str(&table->value), (unsigned)value.n + extra, mode);

	if (result < 0) {
		(void)table_fail(table, "write database %s: %s", table->path, strerror(errno));
		return TABLE_PUT_FAILED;
	}
	return result > 0 && mode == CDB_PUT_INSERT ? TABLE_DUPLICATE : TABLE_STORED;
}

static bool cdb_commit(struct table *table)
{
	struct cdb_table *cdb = cdb_of(table);

	if (!cdb->is_making)
		return true;
	cdb->is_making = false;

	bool is_done = cdb_make_finish(&cdb->make) == 0;

	if (is_done)
		is_done = rebuild_commit(&cdb->rebuild, &table->error);
	else
		(void)table_fail(table, "write database %s: %s", table->path, strerror(errno));
	rebuild_end(&cdb->rebuild);
	return is_done;
}

static enum table_status cdb_next(struct table *table, bool is_first, struct span *ret_key,
				  struct span *ret_value)
{
	struct cdb_table *cdb = cdb_of(table);

	if (!cdb->is_mapped)
		return table_fail(table, "table %s: walk while it is made", table->name);
	if (is_first)
		cdb_seqinit(&cdb->walk_at, &cdb->file);

	int found = cdb_seqnext(&cdb->walk_at, &cdb->file);

	if (found == 0)
		return TABLE_NOT_FOUND;

	const void *key = found > 0 ? cdb_getkey(&cdb->file) : NULL;
	const void *value = found > 0 ? cdb_getdata(&cdb->file) : NULL;

	if (key == NULL || value == NULL)
		return broken(table);
	buf_set(&cdb->key, database_text(key, cdb_keylen(&cdb->file)));
	*ret_key = buf_span(&cdb->key);
	return database_value(table, value, cdb_datalen(&cdb->file), ret_value);
}

static void cdb_close(struct table *table)
{
	struct cdb_table *cdb = cdb_of(table);

	if (cdb->is_mapped)
		cdb_free(&cdb->file);
	if (cdb->is_making)
		(void)cdb_make_finish(&cdb->make); /* frees it; the file is thrown away */
	rebuild_end(&cdb->rebuild);
	buf_done(&cdb->key);
}

static const struct table_ops cdb_ops = {
	.open = cdb_open,
	.load = cdb_load,
	.lookup = cdb_lookup,
	.put = cdb_put,
	.commit = cdb_commit,
	.next = cdb_next,
	.close = cdb_close,
};
static const struct table_type table_type_cdb = { "cdb", CAN_JAIL | CAN_CREATE,
						  sizeof(struct cdb_table), &cdb_ops };

void table_register_cdb(void)
{
	table_register(&table_type_cdb);
}
