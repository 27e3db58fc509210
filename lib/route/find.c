/* SPDX-License-Identifier: MIT */
/*
 * The keys under which an address is looked up; see parts.h. Runs where addresses are resolved.
 * transport(5), relocated(5), postconf(5) sender_dependent_relayhost_maps.
 */

#include "mail/addr.h"
#include "mail/domain.h"
#include "route/parts.h"

/* Whether the search is over: anything but "no such key" ends it. */
static bool is_final(enum route_status status)
{
	return status != ROUTE_NOT_FOUND;
}

static enum route_status find(const struct route_lookups *lookups, enum route_maps maps,
			      struct span key, bool is_partial, struct span *ret_value)
{
	if (key.n == 0)
		return ROUTE_NOT_FOUND;
	return lookups->find(lookups->context, maps, key, is_partial, ret_value);
}

/* user+ext@domain, then user@domain. */
static enum route_status find_full(const struct route_config *config,
				   const struct route_lookups *lookups, enum route_maps maps,
				   struct span address, struct span *ret_value)
{
	struct addr addr = addr_split(address);
	struct buf key = BUF_INIT(BUF_LIMIT_DEFAULT);
	struct span user, ext;
	enum route_status status = find(lookups, maps, address, false, ret_value);

	if (is_final(status) || !addr_ext_split(addr.local, &config->ext, &user, &ext))
		return status;
	buf_add(&key, user);
	buf_add(&key, span_from(address, addr.local.n));
	status = find(lookups, maps, buf_span(&key), true, ret_value);
	buf_done(&key);
	return status;
}

enum route_status route_find_address(const struct route_config *config,
				     const struct route_lookups *lookups, enum route_maps maps,
				     struct span address, bool is_local, struct span *ret_value)
{
	struct addr addr = addr_split(address);
	struct span user, ext;
	enum route_status status;

	status = find_full(config, lookups, maps, address, ret_value);
	if (is_final(status) || !addr.has_domain)
		return status;
	if (is_local) {
		status = find(lookups, maps, addr.local, true, ret_value);
		if (!is_final(status) && addr_ext_split(addr.local, &config->ext, &user, &ext))
			status = find(lookups, maps, user, true, ret_value);
		if (is_final(status))
			return status;
	}
	return find(lookups, maps, span_from(address, addr.local.n), true, ret_value);
}

enum route_status route_find_transport(const struct route_config *config,
				       const struct route_lookups *lookups, struct span address,
				       struct span *ret_value)
{
	enum route_maps maps = ROUTE_TRANSPORT_MAPS;
	struct span name = addr_split(address).domain;
	enum route_status status;
	size_t dot;

	status = find_full(config, lookups, maps, address, ret_value);
	if (!is_final(status))
		status = find(lookups, maps, name, true, ret_value);
	/* An address literal has no parents. */
	while (!is_final(status) && name.n > 0 && name.p[0] != '[' &&
	       span_chr(span_from(name, 1), '.', &dot)) {
		name = span_from(name, dot + (config->transport_maps_match_subdomains ? 2 : 1));
		status = find(lookups, maps, name, true, ret_value);
	}
	if (!is_final(status))
		status = find(lookups, maps, SPAN("*"), true, ret_value);
	return status;
}
