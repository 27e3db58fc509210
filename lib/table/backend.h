/* SPDX-License-Identifier: MIT */
#ifndef TABLE_BACKEND_H
#define TABLE_BACKEND_H

/*
 * What a table type is to table.c: a row with its name, what it can do, the size of its own
 * struct (whose first member is struct table) and its functions. For lib/table alone.
 */

#include <sys/stat.h>
#include <time.h>

#include "table/table.h"

enum {
	CAN_JAIL = 1 << 0, /* its handle works in jailed children of a fork */
	CAN_CREATE = 1 << 1, /* TABLE_REBUILD */
	CAN_WRITE = 1 << 2, /* TABLE_WRITE */
	IS_PATTERN = 1 << 3, /* keys are matched, not found: whole, and with their case */
};

enum { TABLE_FILE_MAX = 512 * 1024 * 1024, TABLE_VALUE_MAX = 16 * 1024 * 1024 };

struct table_ops {
	/* Checks the name (`rest`), sets `path`. False with a reason: the table is malformed. */
	bool (*open)(struct table *table, struct buf *ret_error);
	/*
	 * Reads or maps the file, after the first or a failed try. False with table->error set:
	 * it is tried again at the next lookup. NULL: nothing to load.
	 */
	bool (*load)(struct table *table);
	/* The key is folded, has a NUL behind it and none inside. */
	enum table_status (*lookup)(struct table *table, struct lookup *lookup, struct span key,
				    struct span *ret_value);
	enum table_put (*put)(struct table *table, struct span key, struct span value);
	enum table_status (*remove)(struct table *table, struct span key);
	bool (*commit)(struct table *table);
	enum table_status (*next)(struct table *table, bool is_first, struct span *ret_key,
				  struct span *ret_value);
	bool (*has_changed)(struct table *table); /* NULL: `path` tells */
	void (*close)(struct table *table); /* also of a half-open one */
};

struct table_type {
	const char *name;
	unsigned abilities;
	size_t size;
	const struct table_ops *ops;
};

/* Which file, in which state, was read. */
struct file_id {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

struct table {
	const struct table_type *type;
	char *name; /* type:rest */
	const char *rest;
	char *path; /* the file to watch, or NULL */
	struct file_id id; /* of the file as loaded */
	unsigned flags;
	bool is_loaded;
	bool is_pattern;
	struct buf key; /* folded */
	struct buf value; /* for results that are made up */
	struct buf error;
};

/* The rows of types.c, ended by NULL, and one more of table_register_databases(). */
extern const struct table_type *const table_types[];
void table_register(const struct table_type *type);

/* The row of a type, linked in or registered; the proxy's for a remote type; NULL if unknown. */
const struct table_type *table_find_type(struct span name);

/* Whether proxymap knows a type that is not linked in here. */
bool table_is_remote_type(struct span name);

extern const struct table_type table_type_texthash, table_type_inline, table_type_internal,
	table_type_static, table_type_fail, table_type_environ, table_type_unix, table_type_regexp,
	table_type_pcre, table_type_cidr, table_type_union, table_type_pipe, table_type_rand,
	table_type_debug, table_type_proxy;

const struct table_settings *table_settings(void);
const struct table_proxy *table_proxy(void);

/* Sets the error text and answers TABLE_ERROR. */
enum table_status table_fail(struct table *table, const char *format, ...) PRINTF_LIKE(2, 3);

/* One warning line to whoever table_setup() named. */
void table_warn(const char *format, ...) PRINTF_LIKE(1, 2);

/*
 * Reads a file whole and notes which it was. False with the reason in *ret_error; for
 * table_read_file, which reads table->path, in table->error.
 */
bool file_read(const char *path, struct buf *ret_text, struct file_id *ret_id,
	       struct buf *ret_error);
bool table_read_file(struct table *table, struct buf *ret_text);
struct file_id table_file_id(const struct stat *st);
bool table_file_is(const char *path, const struct file_id *id);

/* Folds `s` as the flags say, for types that read their keys themselves. */
bool table_fold(const struct table *table, struct span s, struct buf *ret);

#endif
