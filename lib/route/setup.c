/* SPDX-License-Identifier: MIT */
/*
 * The settings and lookups of lib/route from main.cf; see setup.h. Runs in every process that
 * decides where mail goes.
 */

#include "route/setup.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "net/netaddr.h"
#include "table/maps.h"
#include "table/match.h"

/* ---- lookups ---- */

static enum route_status find(void *context, enum route_maps which, struct span key,
			      bool is_partial, struct span *ret_value)
{
	struct route_setup *setup = context;

	switch (maps_find(setup->maps[which], setup->lookup, key, is_partial, ret_value)) {
	case TABLE_FOUND:
		return ROUTE_OK;
	case TABLE_NOT_FOUND:
		return ROUTE_NOT_FOUND;
	case TABLE_ERROR:
		return ROUTE_ERROR;
	case TABLE_PENDING:
		return ROUTE_PENDING;
	}
	return ROUTE_ERROR;
}

static enum route_status match(void *context, enum route_list which, struct span domain)
{
	struct route_setup *setup = context;

	switch (match_name(setup->lists[which], setup->lookup, domain)) {
	case MATCH_YES:
		return ROUTE_OK;
	case MATCH_NO:
		return ROUTE_NOT_FOUND;
	case MATCH_ERROR:
		return ROUTE_ERROR;
	case MATCH_PENDING:
		return ROUTE_PENDING;
	}
	return ROUTE_ERROR;
}

static bool is_own_address(void *context, const struct netaddr *addr)
{
	const struct route_setup *setup = context;

	for (size_t i = 0; i < setup->own_addr_count; i++)
		if (netaddr_eq(&setup->own_addrs[i], addr))
			return true;
	return false;
}

/* ---- addresses of the machine ---- */

static void add_own(struct route_setup *setup, struct netaddr addr)
{
	setup->own_addrs = mem_resize(setup->own_addrs,
				      (setup->own_addr_count + 1) * sizeof(*setup->own_addrs));
	setup->own_addrs[setup->own_addr_count++] = netaddr_unmap(addr);
}

static bool addr_of(const struct sockaddr *sa, struct netaddr *ret)
{
	if (sa != NULL && sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

		*ret = (struct netaddr){ .family = NETADDR_IPV4 };
		memcpy(ret->bytes, &in->sin_addr, 4);
		return true;
	}
	if (sa != NULL && sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

		*ret = (struct netaddr){ .family = NETADDR_IPV6 };
		memcpy(ret->bytes, &in6->sin6_addr, 16);
		return true;
	}
	return false;
}

static void add_interfaces(struct route_setup *setup, bool only_loopback)
{
	struct ifaddrs *all;
	struct netaddr addr;

	if (getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *one = all; one != NULL; one = one->ifa_next)
		if ((!only_loopback || (one->ifa_flags & IFF_LOOPBACK) != 0) &&
		    addr_of(one->ifa_addr, &addr))
			add_own(setup, addr);
	freeifaddrs(all);
}

static void add_host(struct route_setup *setup, struct span name)
{
	struct addrinfo *found, hints = { .ai_socktype = SOCK_STREAM };
	struct netaddr addr;
	char *text;

	if (name.n > 1 && name.p[0] == '[' && name.p[name.n - 1] == ']')
		name = (struct span){ name.p + 1, name.n - 2 };
	if (netaddr_parse(name, &addr)) {
		add_own(setup, addr);
		return;
	}
	text = mem_dup(name);
	if (getaddrinfo(text, NULL, &hints, &found) == 0) {
		for (struct addrinfo *one = found; one != NULL; one = one->ai_next)
			if (addr_of(one->ai_addr, &addr))
				add_own(setup, addr);
		freeaddrinfo(found);
	}
	free(text);
}

static void find_own_addresses(struct route_setup *setup)
{
	struct span rest = span_of(conf->inet_interfaces), word;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0) {
		if (span_is_nocase(word, "all") || span_is_nocase(word, "loopback-only"))
			add_interfaces(setup, span_is_nocase(word, "loopback-only"));
		else
			add_host(setup, word);
	}
	rest = span_of(conf->proxy_interfaces);
	while ((word = span_word(&rest, ", \t\r\n")).n > 0)
		add_host(setup, word);
}

/* ---- opening ---- */

static bool is_word_of(const char *list, const char *word)
{
	struct span rest = span_of(list), one;

	while ((one = span_word(&rest, ", \t\r\n")).n > 0)
		if (span_is(one, word))
			return true;
	return false;
}

static bool open_maps(struct route_setup *setup, enum route_maps which, const char *title,
		      const char *list, unsigned flags, struct buf *error)
{
	setup->maps[which] = maps_open(title, span_of(list), flags | TABLE_FOLD, error);
	if (setup->maps[which] == NULL)
		return false;
	setup->lookups.has_maps[which] = !maps_is_empty(setup->maps[which]);
	return true;
}

static bool open_list(struct route_setup *setup, enum route_list which, const char *title,
		      const char *list, enum match_kind kind, unsigned flags, struct buf *error)
{
	if (kind == MATCH_DOMAIN && is_word_of(conf->parent_domain_matches_subdomains, title))
		flags |= MATCH_PARENTS;
	setup->lists[which] = match_open(title, span_of(list), kind, flags | TABLE_FOLD, error);
	return setup->lists[which] != NULL;
}

static void fill_config(struct route_config *config, bool is_probe)
{
	*config = (struct route_config){
		.myhostname = span_of(conf->myhostname),
		.mydomain = span_of(conf->mydomain),
		.myorigin = span_of(conf->myorigin),
		.remote_header_rewrite_domain = span_of(conf->remote_header_rewrite_domain),
		.empty_address_recipient = span_of(conf->empty_address_recipient),
		.empty_relayhost_key = span_of(conf->empty_address_relayhost_maps_lookup_key),
		.empty_transport_key =
			span_of(conf->empty_address_default_transport_maps_lookup_key),
		.ext = { span_of(conf->recipient_delimiter), conf->owner_request_special },
		.append_at_myorigin = conf->append_at_myorigin,
		.append_dot_mydomain = conf->append_dot_mydomain,
		.swap_bangpath = conf->swap_bangpath,
		.allow_percent_hack = conf->allow_percent_hack,
		.resolve_dequoted_address = conf->resolve_dequoted_address,
		.resolve_null_domain = conf->resolve_null_domain,
		.resolve_numeric_domain = conf->resolve_numeric_domain,
		.allow_min_user = conf->allow_min_user,
		.show_user_unknown_table_name = conf->show_user_unknown_table_name,
		.transport_maps_match_subdomains =
			is_word_of(conf->parent_domain_matches_subdomains, "transport_maps"),
		.local_transport = span_of(is_probe ? conf->address_verify_local_transport
						    : conf->local_transport),
		.virtual_transport = span_of(is_probe ? conf->address_verify_virtual_transport
						      : conf->virtual_transport),
		.relay_transport = span_of(is_probe ? conf->address_verify_relay_transport
						    : conf->relay_transport),
		.default_transport = span_of(is_probe ? conf->address_verify_default_transport
						      : conf->default_transport),
		.relayhost = span_of(is_probe ? conf->address_verify_relayhost : conf->relayhost),
	};
}

bool route_setup_open(struct route_setup *setup, bool is_probe, unsigned table_flags,
		      struct buf *error)
{
	unsigned flags = table_flags | (conf->smtputf8_enable ? (unsigned)TABLE_UTF8 : 0);

	*setup = (struct route_setup){ .lookups = { .context = setup, .find = find, .match = match,
						    .is_own_address = is_own_address } };
	fill_config(&setup->config, is_probe);
	find_own_addresses(setup);
	return open_maps(setup, ROUTE_TRANSPORT_MAPS, "transport_maps",
			 is_probe ? conf->address_verify_transport_maps : conf->transport_maps,
			 flags | TABLE_NO_SUBST, error) &&
	       open_maps(setup, ROUTE_RELOCATED_MAPS, "relocated_maps", conf->relocated_maps, flags,
			 error) &&
	       open_maps(setup, ROUTE_SENDER_RELAYHOST_MAPS, "sender_dependent_relayhost_maps",
			 is_probe ? conf->address_verify_sender_dependent_relayhost_maps
				  : conf->sender_dependent_relayhost_maps,
			 flags | TABLE_NO_SUBST, error) &&
	       open_maps(setup, ROUTE_SENDER_TRANSPORT_MAPS,
			 "sender_dependent_default_transport_maps",
			 is_probe ? conf->address_verify_sender_dependent_default_transport_maps
				  : conf->sender_dependent_default_transport_maps,
			 flags | TABLE_NO_SUBST, error) &&
	       open_list(setup, ROUTE_MYDESTINATION, "mydestination", conf->mydestination,
			 MATCH_STRING, flags, error) &&
	       open_list(setup, ROUTE_VIRTUAL_ALIAS_DOMAINS, "virtual_alias_domains",
			 conf->virtual_alias_domains, MATCH_STRING, flags, error) &&
	       open_list(setup, ROUTE_VIRTUAL_MAILBOX_DOMAINS, "virtual_mailbox_domains",
			 conf->virtual_mailbox_domains, MATCH_STRING, flags, error) &&
	       open_list(setup, ROUTE_RELAY_DOMAINS, "relay_domains", conf->relay_domains,
			 MATCH_DOMAIN, flags, error);
}

void route_setup_close(struct route_setup *setup)
{
	for (size_t i = 0; i < ROUTE_MAPS_COUNT; i++)
		maps_close(setup->maps[i]);
	for (size_t i = 0; i < ROUTE_LIST_COUNT; i++)
		match_close(setup->lists[i]);
	free(setup->own_addrs);
	*setup = (struct route_setup){ .own_addrs = NULL };
}

enum route_status route_setup_resolve(struct route_setup *setup, struct lookup *lookup,
				      struct span sender, struct span address, struct route *ret)
{
	setup->lookup = lookup;
	return route_resolve(&setup->config, &setup->lookups, sender, address, ret);
}
