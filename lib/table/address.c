/* SPDX-License-Identifier: MIT */
/*
 * The keys that are tried for a mail address, in the order of canonical(5), virtual(5),
 * transport(5) and access(5); see maps.h. Addresses come from the network.
 */

#include "mail/addr.h"
#include "table/maps_impl.h"

/* One search: the parts of the address, and where its keys are looked up. */
struct search {
	struct maps *maps;
	struct lookup *lookup;
	const struct maps_address_rules *rules;
	struct addr addr;
	struct span user; /* the local part without its extension */
	bool has_extension;
	bool is_plain; /* the address is the same in external form */
	struct span *value;
};

static enum table_status find(struct search *search, struct span key, bool is_part)
{
	return maps_find(search->maps, search->lookup, key, is_part, search->value);
}

/* Local part and `tail` ("", "@", "@domain") in external form, and then in internal form. */
static enum table_status find_user_at(struct search *search, struct span user, struct span tail,
				      bool is_part)
{
	struct buf *key = &search->maps->key, *quoted = &search->maps->quoted;

	buf_set(key, user);
	if (!buf_add(key, tail))
		return TABLE_NOT_FOUND;
	if (!search->is_plain) {
		buf_reset(quoted);
		if (addr_quote(quoted, buf_span(key)) &&
		    !span_eq(buf_span(quoted), buf_span(key))) {
			enum table_status status = find(search, buf_span(quoted), is_part);

			if (status != TABLE_NOT_FOUND)
				return status;
		}
	}
	return find(search, buf_span(key), is_part);
}

/* The local part alone, with `tail` "" or "@": with and without extension. */
static enum table_status find_user(struct search *search, struct span tail, bool *ret_is_short)
{
	enum table_status status = find_user_at(search, search->addr.local, tail, true);

	if (status != TABLE_NOT_FOUND || !search->has_extension)
		return status;
	status = find_user_at(search, search->user, tail, true);
	*ret_is_short = status == TABLE_FOUND;
	return status;
}

static enum table_status find_local_user(struct search *search, unsigned keys, bool *ret_is_short)
{
	const struct maps_address_rules *rules = search->rules;
	enum table_status status;

	if (rules->is_local == NULL)
		return TABLE_NOT_FOUND;
	status = rules->is_local(rules->context, search->lookup, search->addr.domain);
	if (status != TABLE_FOUND)
		return status;
	status = TABLE_NOT_FOUND;
	if (keys & MAPS_LOCALPART_IF_LOCAL)
		status = find_user(search, SPAN(""), ret_is_short);
	if (status == TABLE_NOT_FOUND && (keys & MAPS_LOCALPART_AT_IF_LOCAL))
		status = find_user(search, SPAN("@"), ret_is_short);
	return status;
}

/* "@domain", "domain", and the parents of the domain. An address literal has no parents. */
static enum table_status find_domain_keys(struct search *search, unsigned keys)
{
	struct span domain = search->addr.domain;
	struct buf *key = &search->maps->key;
	enum table_status status = TABLE_NOT_FOUND;
	size_t dot, skip = (keys & MAPS_DOT_PARENTS) ? 0 : 1;

	buf_set(key, SPAN("@"));
	if ((keys & MAPS_AT_DOMAIN) && buf_add(key, domain))
		status = find(search, buf_span(key), true);
	if (status == TABLE_NOT_FOUND && (keys & MAPS_DOMAIN))
		status = find(search, domain, true);
	if (!(keys & (MAPS_PARENTS | MAPS_DOT_PARENTS)))
		return status;
	while (status == TABLE_NOT_FOUND && domain.n > 0 && domain.p[0] != '[' &&
	       span_chr(span_from(domain, 1), '.', &dot)) {
		domain = span_from(domain, 1 + dot + skip);
		status = find(search, domain, true);
	}
	return status;
}

static enum table_status find_all(struct search *search, struct span tail, unsigned keys,
				  bool *ret_is_short)
{
	const unsigned if_local = MAPS_LOCALPART_IF_LOCAL | MAPS_LOCALPART_AT_IF_LOCAL;
	enum table_status status = TABLE_NOT_FOUND;

	if (keys & MAPS_FULL)
		status = find_user_at(search, search->addr.local, tail, false);
	if (status == TABLE_NOT_FOUND && (keys & MAPS_NO_EXTENSION) && search->has_extension) {
		status = find_user_at(search, search->user, tail, true);
		*ret_is_short = status == TABLE_FOUND;
	}
	if (!search->addr.has_domain)
		return status;
	if (status == TABLE_NOT_FOUND && (keys & if_local))
		status = find_local_user(search, keys, ret_is_short);
	if (status == TABLE_NOT_FOUND)
		status = find_domain_keys(search, keys);
	if (status == TABLE_NOT_FOUND && (keys & MAPS_LOCALPART_AT))
		status = find_user(search, SPAN("@"), ret_is_short);
	return status;
}

enum table_status maps_find_address(struct maps *maps, struct lookup *lookup,
				    const struct maps_address_rules *rules,
				    struct span address, unsigned keys, struct span *ret_value,
				    struct span *ret_extension)
{
	struct search search = { .maps = maps,
				 .lookup = lookup,
				 .rules = rules,
				 .addr = addr_split(address),
				 .value = ret_value };
	struct span local = search.addr.local, extension;
	bool is_short = false;

	if (maps_is_empty(maps))
		return TABLE_NOT_FOUND;
	search.is_plain = addr_is_dot_string(local);
	search.has_extension =
		addr_ext_split(local, &rules->extension, &search.user, &extension);

	enum table_status status =
		find_all(&search, span_from(address, local.n), keys, &is_short);

	if (status == TABLE_FOUND)
		*ret_extension = is_short ? span_from(local, search.user.n) : span_from(local, local.n);
	return status;
}
