/* SPDX-License-Identifier: MIT */
/* The table types that every program has, and the names of those that only some have. */

#include "table/backend.h"

const struct table_type *const table_types[] = {
	&table_type_cidr,   &table_type_debug,	  &table_type_environ, &table_type_fail,
	&table_type_inline, &table_type_internal, &table_type_pcre,    &table_type_pipe,
	&table_type_proxy,  &table_type_rand,	  &table_type_regexp,  &table_type_static,
	&table_type_texthash, &table_type_union,  &table_type_unix,    NULL,
};

/* Linked in where table_register_databases() is called; elsewhere proxymap is asked. */
static const char *const remote_types[] = { "btree", "cdb", "hash", "lmdb" };

bool table_is_remote_type(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(remote_types); i++)
		if (span_is(name, remote_types[i]))
			return true;
	return false;
}

const char *table_type_name(size_t index)
{
	size_t local = ARRAY_LEN(table_types) - 1;

	if (index < local)
		return table_types[index]->name;
	if (index - local < ARRAY_LEN(remote_types))
		return remote_types[index - local];
	return NULL;
}
