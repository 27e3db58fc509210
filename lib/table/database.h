/* SPDX-License-Identifier: MIT */
#ifndef TABLE_DATABASE_H
#define TABLE_DATABASE_H

/*
 * What the indexed files have in common. By history a key and its value may or may not be
 * stored with the NUL of a C string behind them; Postfix writes hash, btree and lmdb with it,
 * cdb without, and reads both.
 */

#include "table/backend.h"

extern const struct table_type table_type_hash, table_type_btree, table_type_lmdb;

/* How the entries of a file end, as far as known: both are tried until one was found. */
struct nul_rule {
	bool may_have_nul, may_lack_nul;
};

/* By the flags TABLE_WITH_NUL and TABLE_WITHOUT_NUL; else both. */
struct nul_rule nul_rule_of(const struct table *table);

/* Whether to write the NUL: as the file has it, or else as the type does by default. */
bool nul_rule_writes(struct nul_rule rule, bool is_default);

/*
 * Opens table->path for reading, or the copy that table_settings.open_private has of it; *ret_name is what a
 * library that takes names is to open, and of a copy table->id is set. The caller closes the descriptor;
 * -1 with errno.
 */
enum { DATABASE_NAME_MAX = 32 };
MUST_USE int database_open(struct table *table, char copy_name[DATABASE_NAME_MAX],
			   const char **ret_name);

/* A stored value without its NUL, copied to table->value. */
enum table_status database_value(struct table *table, const void *data, size_t size,
				 struct span *ret_value);

/* The same bytes with the NUL cut off, not copied. */
struct span database_text(const void *data, size_t size);

#endif
