/* SPDX-License-Identifier: MIT */
#ifndef TABLE_TABLE_H
#define TABLE_TABLE_H

/*
 * One interface for all lookup tables ("hash:/etc/postern/virtual"); the types are listed in
 * types.c, DATABASE_README says what they do.
 *
 * A table that cannot be read (no file, broken file) opens all the same: its lookups answer
 * TABLE_ERROR until the file has become readable, which is tried at each lookup.
 */

#include <sys/types.h>

#include "base/buf.h"

struct table;
struct lookup;

/* Results of lookups; a caller that passes no asynchronous struct lookup never sees PENDING. */
enum table_status {
	TABLE_FOUND,
	TABLE_NOT_FOUND,
	TABLE_ERROR, /* temporary: the table could not answer; table_error() says why */
	TABLE_PENDING, /* lookup->need says what must be asked first; see lookup.h */
};

/* Flags for table_open(). */
enum {
	TABLE_FOLD = 1 << 0, /* keys without case, in types with fixed keys (not in patterns) */
	TABLE_NO_SUBST = 1 << 1, /* pattern tables may not put $1 into results */
	TABLE_UTF8 = 1 << 2, /* keys and values must be well-formed UTF-8, folding is Unicode's */
	TABLE_IN_JAIL = 1 << 3, /* used in jailed children of a fork: what cannot, goes by proxy */
	TABLE_WRITE = 1 << 4, /* update in place; the file is made when it is missing */
	TABLE_REBUILD = 1 << 5, /* a new file, which replaces the old one at table_commit() */
	TABLE_REPLACE = 1 << 6, /* updates of a key that is there replace it */
	TABLE_WITH_NUL = 1 << 7, /* store a NUL behind keys and values, whatever is usual */
	TABLE_WITHOUT_NUL = 1 << 8,
	TABLE_BY_PROXY = 1 << 9, /* set by table_open() for proxy:type:name */
};

/*
 * Opens "type:name" for reading, or for writing with TABLE_WRITE or TABLE_REBUILD. `flags` go
 * to the tables inside a unionmap or the like as well. NULL, with the reason in *ret_error,
 * when the type is unknown or the name is malformed; when writing also when the file cannot be
 * opened. The caller closes it; NULL may be closed.
 */
struct table *table_open(const char *type_and_name, unsigned flags, struct buf *ret_error);
void table_close(struct table *table);

/* The "type:name" it was opened with, and why its last operation failed; both borrowed. */
const char *table_name(const struct table *table);
const char *table_error(const struct table *table);

/* Whether it matches patterns, so that it gets whole addresses and no parts of them. */
bool table_is_pattern(const struct table *table);

/* Whether its file has been read; and whether the file was changed, replaced or came since. */
bool table_is_loaded(const struct table *table);
bool table_has_changed(struct table *table);

/*
 * Looks `key` up. *ret_value, set when found, is borrowed until the next call on this table
 * (or on `lookup`) and has a NUL behind it. `lookup` may be NULL: then tables behind the proxy
 * are asked and waited for. Patterns can match an empty key, other tables never have one.
 */
MUST_USE enum table_status table_lookup(struct table *table, struct lookup *lookup,
					struct span key, struct span *ret_value);

/* Changes. What table_put() and table_delete() did is on disk after table_commit(). */
enum table_put { TABLE_STORED, TABLE_DUPLICATE, TABLE_PUT_FAILED };
MUST_USE enum table_put table_put(struct table *table, struct span key, struct span value);
MUST_USE enum table_status table_delete(struct table *table, struct span key);
MUST_USE bool table_commit(struct table *table);

/*
 * Walks all entries in the table's own order: first with `is_first`. TABLE_NOT_FOUND says that
 * there are no more. The spans are borrowed until the next call.
 */
MUST_USE enum table_status table_next(struct table *table, bool is_first, struct span *ret_key,
				      struct span *ret_value);

/* The types that this program knows, for postconf -m: NULL after the last. In no order. */
const char *table_type_name(size_t index);

/*
 * Adds hash and btree, lmdb and cdb, with the libraries they need. Programs that do not call
 * them are linked without, and ask proxymap for such tables. cdb tables may be used in a jail.
 */
void table_register_databases(void); /* all of them */
void table_register_cdb(void);

/*
 * How tables are asked that this process cannot read itself: proxy:type:name, and types that
 * are not linked in or may not be used in a jail. `name` has no "proxy:" in front. Values and
 * errors are written into the buffers, which are empty. NULL members: not supported.
 */
struct table_proxy {
	enum table_status (*lookup)(const char *name, unsigned flags, struct span key,
				    struct buf *ret_value, struct buf *ret_error);
	enum table_put (*put)(const char *name, unsigned flags, struct span key,
			      struct span value, struct buf *ret_error);
	enum table_status (*remove)(const char *name, unsigned flags, struct span key,
				    struct buf *ret_error);
	enum table_status (*next)(const char *name, unsigned flags, bool is_first,
				  struct buf *ret_key, struct buf *ret_value,
				  struct buf *ret_error);
};
void table_set_proxy(const struct table_proxy *proxy); /* borrowed for good */

/* What applies to all tables of a process. */
struct table_settings {
	void (*warn)(const char *text); /* malformed lines and the like; NULL: said to nobody */
	void (*trace)(const char *text); /* what debug: tables see; NULL: said to nobody */
	void (*reading)(const char *path); /* each file that is read whole, before it is; or NULL */
	/*
	 * A database file that this process may not read: a descriptor of a copy, for the caller to close,
	 * or -1 with errno. NULL: there are no copies.
	 */
	int (*open_private)(const char *path);
	bool must_load; /* table_open() fails when a file cannot be read, instead of each lookup */
	size_t db_create_buffer_bytes; /* berkeley_db_create_buffer_size */
	size_t db_read_buffer_bytes; /* berkeley_db_read_buffer_size */
	size_t lmdb_map_bytes; /* lmdb_map_size */
	mode_t new_file_mode; /* of files made by TABLE_WRITE and TABLE_REBUILD */
	uid_t new_file_owner; /* likewise; (uid_t)-1 and (gid_t)-1 leave it as it comes */
	gid_t new_file_group;
};
struct table_settings table_settings_default(void);
void table_setup(const struct table_settings *settings);

#endif
