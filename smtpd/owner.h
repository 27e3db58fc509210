/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_OWNER_H
#define SMTPD_OWNER_H

/* Which addresses are a login's: smtpd_sender_login_maps. The login is the session's. */

#include "base/span.h"

struct session;

enum owner {
	OWNER_NONE,  /* the tables know no owner */
	OWNER_SELF,
	OWNER_OTHER,
	OWNER_ERROR, /* a table failed */
};

/*
 * Whose an address is by smtpd_sender_login_maps alone; `keys` as for maps_find_address(). What failed
 * is in maps_error(tables.sender_login).
 */
enum owner owner_find(struct session *s, struct span address, unsigned keys);

/*
 * The same for an author: also an address that virtual_alias_maps or, where the domain is local,
 * alias_maps turn into one of the login's is the login's. An entry for the address itself
 * decides alone, so that who merely gets a copy of the boss's mail does not write as the boss; one for
 * its whole domain comes last. A failure was logged. At most OWNER_WALK_MAX addresses of an alias are looked at.
 */
enum { OWNER_WALK_MAX = 1000 };
enum owner owner_of_author(struct session *s, struct span address);

#endif
