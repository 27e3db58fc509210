/* SPDX-License-Identifier: MIT */
/*
 * Which addresses are a login's; see owner.h. The addresses are the client's, the tables the
 * administrator's. postconf(5) smtpd_sender_login_maps, virtual(5), aliases(5).
 */

#include "smtpd/owner.h"

#include "base/log.h"
#include "deliver/destination.h"
#include "mail/addr.h"
#include "route/expand.h"
#include "smtpd/auth.h"
#include "smtpd/session.h"
#include "table/maps.h"

static bool is_in_list(struct span list, struct span name)
{
	struct span word;

	while ((word = span_word(&list, ", \t\r\n")).n > 0)
		if (span_eq_nocase(word, name))
			return true;
	return false;
}

enum owner owner_find(struct session *s, struct span address, unsigned keys)
{
	struct span owners, extension;

	switch (maps_find_address(tables.sender_login, &s->lookup, &tables.site.rules, address,
				  keys, &owners, &extension)) {
	case TABLE_FOUND: return is_in_list(owners, auth_user(s)) ? OWNER_SELF : OWNER_OTHER;
	case TABLE_ERROR: return OWNER_ERROR;
	case TABLE_NOT_FOUND:
	case TABLE_PENDING: break;
	}
	return OWNER_NONE;
}

/* ---- what an address stands for ---- */

/* Addresses on the way from an alias to those who get its mail. */
struct walk {
	struct session *s;
	struct span *items; /* in the arena of the transaction, as their texts */
	size_t count;
	struct maps *failed; /* a table that did not answer, or NULL */
};

static bool add_item(void *context, struct span address)
{
	struct walk *walk = context;

	for (size_t i = 0; i < walk->count; i++)
		if (span_eq_nocase(walk->items[i], address))
			return true;
	if (walk->count < OWNER_WALK_MAX)
		walk->items[walk->count++] = arena_span(&walk->s->mail_arena, address);
	return true;
}

/* What virtual_alias_maps make of it; false: nothing. */
static bool walk_virtual(struct walk *walk, struct span address)
{
	struct span value, extension;

	switch (maps_find_address(tables.virtual_alias, &walk->s->lookup, &tables.site.rules,
				  address, MAPS_KEYS_REWRITE, &value, &extension)) {
	case TABLE_FOUND:
		value = arena_span(&walk->s->mail_arena, value);
		(void)route_expand(&tables.site.config, value, address, SPAN(""), add_item, walk);
		return true;
	case TABLE_ERROR: walk->failed = tables.virtual_alias; break;
	case TABLE_NOT_FOUND:
	case TABLE_PENDING: break;
	}
	return false;
}

/* The addresses among the destinations of an alias. */
static void add_destinations(struct walk *walk, struct span value)
{
	struct destination_reader reader;
	struct destination destination;
	struct buf full = BUF_INIT(4096);

	destination_start(&reader, arena_span(&walk->s->mail_arena, value), false);
	while (destination_next(&reader, &destination)) {
		buf_reset(&full);
		if ((destination.kind == DESTINATION_ADDRESS ||
		     destination.kind == DESTINATION_MAILBOX) &&
		    site_rewrite(&tables.site, ROUTE_LOCAL, destination.text, &full) && full.length > 0)
			(void)add_item(walk, buf_span(&full));
	}
	destination_done(&reader);
	buf_done(&full);
}

/* What alias_maps make of an address of this machine. */
static void walk_aliases(struct walk *walk, struct span address)
{
	struct session *s = walk->s;
	struct addr addr = addr_split(address);
	struct span value, user, extension;
	enum table_status status = site_is_local(&tables.site, &s->lookup, addr.domain);

	if (status == TABLE_FOUND) {
		status = maps_find(tables.aliases, &s->lookup, addr.local, false, &value);
		if (status == TABLE_NOT_FOUND &&
		    addr_ext_split(addr.local, &tables.site.rules.extension, &user, &extension))
			status = maps_find(tables.aliases, &s->lookup, user, true, &value);
		if (status == TABLE_FOUND)
			add_destinations(walk, value);
	}
	if (status == TABLE_ERROR)
		walk->failed = tables.aliases;
}

static enum owner failed(struct maps *maps)
{
	log_warn("%s: %s", maps_title(maps), maps_error(maps));
	return OWNER_ERROR;
}

/* Whether an alias leads to an address of the login. */
static enum owner find_by_alias(struct session *s, struct span address)
{
	struct walk walk = {
		.s = s,
		.items = arena_alloc(&s->mail_arena, OWNER_WALK_MAX * sizeof(struct span)),
	};

	(void)add_item(&walk, address);
	for (size_t at = 0; at < walk.count && walk.failed == NULL; at++) {
		enum owner owner = at == 0 ? OWNER_NONE
					   : owner_find(s, walk.items[at], MAPS_KEYS_REWRITE);

		if (owner == OWNER_SELF)
			return owner;
		if (owner == OWNER_ERROR)
			return failed(tables.sender_login);
		if (!walk_virtual(&walk, walk.items[at]) && walk.failed == NULL)
			walk_aliases(&walk, walk.items[at]);
	}
	return walk.failed != NULL ? failed(walk.failed) : OWNER_NONE;
}

enum owner owner_of_author(struct session *s, struct span address)
{
	enum owner owner = owner_find(s, address, MAPS_KEYS_REWRITE & ~(unsigned)MAPS_AT_DOMAIN);

	if (owner == OWNER_NONE) {
		owner = find_by_alias(s, address);
		if (owner != OWNER_NONE)
			return owner;
		owner = owner_find(s, address, MAPS_AT_DOMAIN);
	}
	return owner == OWNER_ERROR ? failed(tables.sender_login) : owner;
}
