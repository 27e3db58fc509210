/* SPDX-License-Identifier: MIT */
/*
 * The keys that are tried for a mail address, in the order of canonical(5), virtual(5),
 * transport(5) and access(5); see maps.h. Addresses come from the network.
 */

#include <string.h>

#include "table/maps_impl.h"

/* One search: the parts of the address, and where its keys are looked up. */
struct search {
	struct maps *maps;
	struct lookup *lookup;
	const struct maps_address_rules *rules;
	struct span localpart; /* without quotes */
	size_t extension_at; /* in `localpart`; its length when there is no extension */
	struct span domain;
	bool has_domain;
	bool is_quoted; /* the localpart was written with quotes */
	struct span *value;
};

static bool is_reserved(struct span localpart, const struct maps_address_rules *rules)
{
	bool is_list = rules->has_owner_request && strchr(rules->recipient_delimiter, '-') != NULL &&
		       (span_starts_nocase(localpart, SPAN("owner-")) ||
			span_ends_nocase(localpart, SPAN("-request")));

	return is_list || span_is_nocase(localpart, "postmaster") ||
	       span_is_nocase(localpart, "mailer-daemon") ||
	       (rules->double_bounce_sender != NULL &&
		span_is_nocase(localpart, rules->double_bounce_sender));
}

size_t maps_extension_at(struct span localpart, const struct maps_address_rules *rules)
{
	const char *delimiters = rules->recipient_delimiter;

	if (delimiters == NULL || delimiters[0] == '\0' || is_reserved(localpart, rules))
		return localpart.n;
	for (size_t i = 1; i < localpart.n; i++)
		if (localpart.p[i] != '\0' && strchr(delimiters, localpart.p[i]) != NULL)
			return i;
	return localpart.n;
}

/* Takes quotes and backslashes off (RFC 5321 4.1.2 Quoted-string). */
static void unquote(struct span text, struct buf *ret)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\\' && i + 1 < text.n)
			i++;
		else if (text.p[i] == '"')
			continue;
		buf_char(ret, text.p[i]);
	}
}

/* atext of RFC 5322 3.2.3, and what RFC 6532 adds. */
static bool is_atom_byte(char c)
{
	return ascii_is_alnum(c) || (unsigned char)c >= 0x80 ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* Whether it can stand without quotes: Dot-string of RFC 5321 4.1.2. */
static bool is_dot_string(struct span text)
{
	bool after_dot = true;

	for (size_t i = 0; i < text.n; i++) {
		bool is_dot = text.p[i] == '.';

		if (is_dot ? after_dot : !is_atom_byte(text.p[i]))
			return false;
		after_dot = is_dot;
	}
	return !after_dot;
}

static void add_quoted(struct buf *key, struct span text)
{
	buf_char(key, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '"' || text.p[i] == '\\')
			buf_char(key, '\\');
		buf_char(key, text.p[i]);
	}
	buf_char(key, '"');
}

static enum table_status find(struct search *search, struct span key, bool is_part)
{
	return maps_find(search->maps, search->lookup, key, is_part, search->value);
}

/* Localpart and `tail`, with quotes where they are needed, and then without. */
static enum table_status find_localpart(struct search *search, struct span localpart,
					const char *at, struct span tail, bool is_part)
{
	enum table_status status = TABLE_NOT_FOUND;
	struct buf *key = &search->maps->key;

	if (search->is_quoted && !is_dot_string(localpart)) {
		buf_reset(key);
		add_quoted(key, localpart);
		buf_text(key, at);
		if (buf_add(key, tail))
			status = find(search, buf_span(key), is_part);
		if (status != TABLE_NOT_FOUND)
			return status;
	}
	buf_set(key, localpart);
	buf_text(key, at);
	if (!buf_add(key, tail))
		return TABLE_NOT_FOUND;
	return find(search, buf_span(key), is_part);
}

/* The same without domain (`at` is "" or "@"): with and without extension. */
static enum table_status find_user(struct search *search, const char *at, bool *ret_is_short)
{
	const struct span nothing = { NULL, 0 };
	enum table_status status =
		find_localpart(search, search->localpart, at, nothing, true);

	if (status != TABLE_NOT_FOUND || search->extension_at == search->localpart.n)
		return status;
	status = find_localpart(search, span_first(search->localpart, search->extension_at), at,
				nothing, true);
	*ret_is_short = status == TABLE_FOUND;
	return status;
}

static enum table_status find_local_user(struct search *search, unsigned keys, bool *ret_is_short)
{
	const struct maps_address_rules *rules = search->rules;
	enum table_status status;

	if (rules->is_local == NULL)
		return TABLE_NOT_FOUND;
	status = rules->is_local(rules->context, search->lookup, search->domain);
	if (status != TABLE_FOUND)
		return status;
	status = TABLE_NOT_FOUND;
	if (keys & MAPS_LOCALPART_IF_LOCAL)
		status = find_user(search, "", ret_is_short);
	if (status == TABLE_NOT_FOUND && (keys & MAPS_LOCALPART_AT_IF_LOCAL))
		status = find_user(search, "@", ret_is_short);
	return status;
}

static enum table_status find_domain_keys(struct search *search, unsigned keys)
{
	enum table_status status = TABLE_NOT_FOUND;
	size_t dot;

	if (keys & MAPS_AT_DOMAIN) {
		buf_set(&search->maps->key, SPAN("@"));
		if (buf_add(&search->maps->key, search->domain))
			status = find(search, buf_span(&search->maps->key), true);
	}
	if (status == TABLE_NOT_FOUND && (keys & MAPS_DOMAIN))
		status = find(search, search->domain, true);
	if (!(keys & (MAPS_PARENTS | MAPS_DOT_PARENTS)))
		return status;

	size_t skip = (keys & MAPS_DOT_PARENTS) ? 0 : 1;

	for (struct span parent = search->domain;
	     status == TABLE_NOT_FOUND && parent.n > 0 && span_chr(span_from(parent, 1), '.', &dot);) {
		parent = span_from(parent, 1 + dot + skip);
		status = find(search, parent, true);
	}
	return status;
}

static enum table_status find_all(struct search *search, unsigned keys, bool *ret_is_short)
{
	bool has_extension = search->extension_at < search->localpart.n;
	const char *at = search->has_domain ? "@" : "";
	enum table_status status = TABLE_NOT_FOUND;

	if (keys & MAPS_FULL)
		status = find_localpart(search, search->localpart, at, search->domain, false);
	if (status == TABLE_NOT_FOUND && (keys & MAPS_NO_EXTENSION) && has_extension) {
		status = find_localpart(search, span_first(search->localpart, search->extension_at),
					at, search->domain, true);
		*ret_is_short = status == TABLE_FOUND;
	}
	if (!search->has_domain)
		return status;
	if (status == TABLE_NOT_FOUND && (keys & (MAPS_LOCALPART_IF_LOCAL | MAPS_LOCALPART_AT_IF_LOCAL)))
		status = find_local_user(search, keys, ret_is_short);
	if (status == TABLE_NOT_FOUND)
		status = find_domain_keys(search, keys);
	if (status == TABLE_NOT_FOUND && (keys & MAPS_LOCALPART_AT))
		status = find_user(search, "@", ret_is_short);
	return status;
}

enum table_status maps_find_address(struct maps *maps, struct lookup *lookup,
				    const struct maps_address_rules *rules,
				    struct span address, unsigned keys, struct span *ret_value,
				    struct span *ret_extension)
{
	struct search search = {
		.maps = maps, .lookup = lookup, .rules = rules, .localpart = address, .value = ret_value
	};
	bool is_short = false;
	size_t at;

	if (maps_is_empty(maps))
		return TABLE_NOT_FOUND;
	if (span_rchr(address, '@', &at)) {
		search.has_domain = true;
		search.localpart = span_first(address, at);
		search.domain = span_from(address, at + 1);
	}
	search.is_quoted = span_has(search.localpart, '"');
	buf_reset(&maps->localpart);
	if (search.is_quoted)
		unquote(search.localpart, &maps->localpart);
	else
		buf_add(&maps->localpart, search.localpart);
	if (buf_is_over(&maps->localpart))
		return TABLE_NOT_FOUND;
	search.localpart = buf_span(&maps->localpart);
	search.extension_at = maps_extension_at(search.localpart, rules);

	enum table_status status = find_all(&search, keys, &is_short);

	if (status == TABLE_FOUND)
		*ret_extension = span_from(search.localpart,
					   is_short ? search.extension_at : search.localpart.n);
	return status;
}
