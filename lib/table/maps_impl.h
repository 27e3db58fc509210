/* SPDX-License-Identifier: MIT */
#ifndef TABLE_MAPS_IMPL_H
#define TABLE_MAPS_IMPL_H

/* struct maps, for maps.c and address.c alone. */

#include "table/maps.h"

struct maps {
	char *title;
	struct table **tables;
	size_t count;
	const struct table *origin;
	struct buf error;
	struct buf key; /* as made up from parts of an address */
	struct buf quoted; /* the same in external form */
};

#endif
