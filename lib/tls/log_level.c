/* SPDX-License-Identifier: MIT */
/* The log level of one peer; see log_level.h. */

#include "tls/log_level.h"

#include "base/compiler.h"
#include "table/maps.h"

enum { LEVEL_MAX = 4 };

int tls_log_level(struct maps *maps, struct lookup *lookup, struct span name, struct span address,
		  const char *parameter)
{
	struct span keys[] = { name, address }, value;
	uint64_t level;

	for (size_t i = 0; i < ARRAY_LEN(keys) && !maps_is_empty(maps); i++)
		if (maps_find(maps, lookup, keys[i], false, &value) == TABLE_FOUND &&
		    span_u64(span_trim(value), LEVEL_MAX, &level))
			return (int)level;
	return span_u64(span_of(parameter), LEVEL_MAX, &level) ? (int)level : 0;
}
