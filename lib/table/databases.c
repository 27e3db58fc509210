/* SPDX-License-Identifier: MIT */
/* Linking in the types that need a database library; see table.h. */

#include "table/backend.h"
#include "table/database.h"

void table_register_databases(void)
{
	table_register(&table_type_hash);
	table_register(&table_type_btree);
	table_register(&table_type_lmdb);
	table_register_cdb();
}
