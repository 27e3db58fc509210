/* SPDX-License-Identifier: MIT */
/* This site's routing; see site.h. Runs in smtpd, cleanup and qmgr; opened as root. */

#include "route/site.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ip.h"
#include "base/log.h"
#include "base/words.h"
#include "conf/conf.h"
#include "mail/domain.h"

static enum route_status from_table(enum table_status status)
{
	switch (status) {
	case TABLE_FOUND: return ROUTE_OK;
	case TABLE_NOT_FOUND: return ROUTE_NOT_FOUND;
	case TABLE_ERROR: return ROUTE_ERROR;
	case TABLE_PENDING: return ROUTE_PENDING;
	}
	return ROUTE_ERROR;
}

static enum route_status from_match(enum match_result result)
{
	switch (result) {
	case MATCH_YES: return ROUTE_OK;
	case MATCH_NO: return ROUTE_NOT_FOUND;
	case MATCH_ERROR: return ROUTE_ERROR;
	case MATCH_PENDING: return ROUTE_PENDING;
	}
	return ROUTE_ERROR;
}

static enum route_status find(void *context, enum route_maps which, struct span key,
			      bool is_partial, struct span *ret_value)
{
	struct site *site = context;
	enum table_status status =
		maps_find(site->maps[which], site->lookup, key, is_partial, ret_value);

	if (status == TABLE_ERROR)
		site->reason = maps_error(site->maps[which]);
	return from_table(status);
}

static enum route_status match(void *context, enum route_list which, struct span domain)
{
	struct site *site = context;
	enum match_result result = match_name(site->lists[which], site->lookup, domain);

	if (result == MATCH_ERROR)
		site->reason = match_error(site->lists[which]);
	return from_match(result);
}

static bool is_own_address(void *context, const struct ip_addr *addr)
{
	struct site *site = context;
	char text[IP_TEXT_MAX];
	struct span address = ip_text(addr, text);

	return match_client(site->own_addresses, NULL, SPAN(""), address) == MATCH_YES;
}

static enum table_status is_local(void *context, struct lookup *lookup, struct span domain)
{
	return site_is_local(context, lookup, domain);
}

enum table_status site_is_local(struct site *site, struct lookup *lookup, struct span domain)
{
	struct ip_addr addr;

	if (domain.n > 0 && domain.p[0] == '[')
		return domain_check_literal(domain, &addr) == DOMAIN_OK && is_own_address(site, &addr)
			       ? TABLE_FOUND
			       : TABLE_NOT_FOUND;
	switch (match_name(site->lists[ROUTE_MYDESTINATION], lookup, domain)) {
	case MATCH_YES: return TABLE_FOUND;
	case MATCH_NO: return TABLE_NOT_FOUND;
	case MATCH_ERROR: return TABLE_ERROR;
	case MATCH_PENDING: return TABLE_PENDING;
	}
	return TABLE_ERROR;
}

/* ---- opening ---- */

static struct maps *open_maps(const char *title, const char *list, unsigned flags)
{
	struct buf error = BUF_INIT(1000);
	struct maps *maps = maps_open(title, span_of(list), flags, &error);

	if (maps == NULL)
		fatal("%s: %s", title, buf_str(&error));
	return maps;
}

static struct match_list *open_list(const char *title, const char *text, unsigned flags)
{
	struct buf error = BUF_INIT(1000);
	struct span with_parents = span_of(conf->parent_domain_matches_subdomains);
	unsigned parents = words_have(with_parents, span_of(title)) ? (unsigned)MATCH_PARENTS : 0;
	struct match_list *list =
		match_open(title, span_of(text), MATCH_DOMAIN, flags | parents, &error);

	if (list == NULL)
		fatal("%s: %s", title, buf_str(&error));
	return list;
}

static void add_sockaddr(struct buf *out, const struct sockaddr *address)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (address->sa_family == AF_INET)
		(void)inet_ntop(AF_INET,
				&((const struct sockaddr_in *)(const void *)address)->sin_addr, text,
				sizeof(text));
	else if (address->sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6,
				&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
				text, sizeof(text));
	if (*text != '\0')
		(void)buf_printf(out, "%s%s%s ", address->sa_family == AF_INET6 ? "[" : "", text,
				 address->sa_family == AF_INET6 ? "]" : "");
}

static void add_interfaces(struct buf *out, bool only_loopback)
{
	struct ifaddrs *all, *each;

	if (only_loopback) {
		(void)buf_text(out, "127.0.0.1 [::1] ");
		return;
	}
	if (getifaddrs(&all) < 0)
		fatal("getifaddrs: cannot find the addresses of this machine");
	for (each = all; each != NULL; each = each->ifa_next)
		if (each->ifa_addr != NULL)
			add_sockaddr(out, each->ifa_addr);
	freeifaddrs(all);
}

static void add_host(struct buf *out, struct span word)
{
	char host[256];
	struct addrinfo *all;

	(void)snprintf(host, sizeof(host), "%.*s", SPAN_ARG(word));
	if (getaddrinfo(host, NULL, NULL, &all) != 0) {
		log_warn("inet_interfaces: no address for %s", host);
		return;
	}
	for (struct addrinfo *each = all; each != NULL; each = each->ai_next)
		add_sockaddr(out, each->ai_addr);
	freeaddrinfo(all);
}

/* inet_interfaces and proxy_interfaces as a list of numeric addresses. */
static struct match_list *open_own_addresses(void)
{
	const char *const both[] = { conf->inet_interfaces, conf->proxy_interfaces };
	struct buf text = BUF_INIT(65536), error = BUF_INIT(1000);
	struct match_list *list;

	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		struct span rest = span_of(both[i]), word;

		while ((word = span_word(&rest, ", \t\r\n")).n > 0) {
			if (span_is_nocase(word, "all"))
				add_interfaces(&text, false);
			else if (span_is_nocase(word, "loopback-only"))
				add_interfaces(&text, true);
			else
				add_host(&text, word);
		}
	}
	list = match_open("inet_interfaces", buf_span(&text), MATCH_ADDRESS, 0, &error);
	if (list == NULL)
		fatal("inet_interfaces: %s", buf_str(&error));
	buf_done(&text);
	return list;
}

static void fill_config(struct route_config *config)
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
		.ext = { .delimiters = span_of(conf->recipient_delimiter),
			 .is_owner_special = conf->owner_request_special },
		.append_at_myorigin = conf->append_at_myorigin,
		.append_dot_mydomain = conf->append_dot_mydomain,
		.swap_bangpath = conf->swap_bangpath,
		.allow_percent_hack = conf->allow_percent_hack,
		.resolve_dequoted_address = conf->resolve_dequoted_address,
		.resolve_null_domain = conf->resolve_null_domain,
		.relocated_prefix_enable = conf->relocated_prefix_enable,
		.resolve_numeric_domain = conf->resolve_numeric_domain,
		.allow_min_user = conf->allow_min_user,
		.show_user_unknown_table_name = conf->show_user_unknown_table_name,
		.transport_maps_match_subdomains =
			words_have(span_of(conf->parent_domain_matches_subdomains),
				   SPAN("transport_maps")),
	};
}

/* What mail and the probes of verify(8) have settings of their own for. */
struct routing {
	const char *maps[ROUTE_MAPS_COUNT];
	const char *local_transport, *virtual_transport, *relay_transport, *default_transport;
	const char *relayhost;
};

static void open_site(struct site *site, unsigned flags, const struct routing *routing)
{
	static const char *const map_titles[ROUTE_MAPS_COUNT] = {
		[ROUTE_TRANSPORT_MAPS] = "transport_maps",
		[ROUTE_RELOCATED_MAPS] = "relocated_maps",
		[ROUTE_SENDER_RELAYHOST_MAPS] = "sender_dependent_relayhost_maps",
		[ROUTE_SENDER_TRANSPORT_MAPS] = "sender_dependent_default_transport_maps",
	};
	const struct {
		const char *title, *list;
	} lists[ROUTE_LIST_COUNT] = {
		[ROUTE_MYDESTINATION] = { "mydestination", conf->mydestination },
		[ROUTE_VIRTUAL_ALIAS_DOMAINS] = { "virtual_alias_domains",
						  conf->virtual_alias_domains },
		[ROUTE_VIRTUAL_MAILBOX_DOMAINS] = { "virtual_mailbox_domains",
						    conf->virtual_mailbox_domains },
		[ROUTE_RELAY_DOMAINS] = { "relay_domains", conf->relay_domains },
	};

	*site = (struct site){ .lookup = NULL };
	fill_config(&site->config);
	site->config.local_transport = span_of(routing->local_transport);
	site->config.virtual_transport = span_of(routing->virtual_transport);
	site->config.relay_transport = span_of(routing->relay_transport);
	site->config.default_transport = span_of(routing->default_transport);
	site->config.relayhost = span_of(routing->relayhost);
	for (size_t i = 0; i < ROUTE_MAPS_COUNT; i++) {
		site->maps[i] = open_maps(map_titles[i], routing->maps[i], flags | TABLE_FOLD);
		site->lookups.has_maps[i] = !maps_is_empty(site->maps[i]);
	}
	for (size_t i = 0; i < ROUTE_LIST_COUNT; i++)
		site->lists[i] = open_list(lists[i].title, lists[i].list, flags | TABLE_FOLD);
	site->own_addresses = open_own_addresses();
	site->lookups.context = site;
	site->lookups.find = find;
	site->lookups.match = match;
	site->lookups.is_own_address = is_own_address;
	site->rules = (struct maps_address_rules){
		.extension = site->config.ext,
		.is_local = is_local,
		.context = site,
	};
}

void site_open(struct site *site, unsigned flags)
{
	const struct routing routing = {
		.maps = { [ROUTE_TRANSPORT_MAPS] = conf->transport_maps,
			  [ROUTE_RELOCATED_MAPS] = conf->relocated_maps,
			  [ROUTE_SENDER_RELAYHOST_MAPS] = conf->sender_dependent_relayhost_maps,
			  [ROUTE_SENDER_TRANSPORT_MAPS] =
				  conf->sender_dependent_default_transport_maps },
		.local_transport = conf->local_transport,
		.virtual_transport = conf->virtual_transport,
		.relay_transport = conf->relay_transport,
		.default_transport = conf->default_transport,
		.relayhost = conf->relayhost,
	};

	open_site(site, flags, &routing);
}

void site_open_for_probes(struct site *site, unsigned flags)
{
	const struct routing routing = {
		.maps = { [ROUTE_TRANSPORT_MAPS] = conf->address_verify_transport_maps,
			  [ROUTE_RELOCATED_MAPS] = conf->relocated_maps,
			  [ROUTE_SENDER_RELAYHOST_MAPS] =
				  conf->address_verify_sender_dependent_relayhost_maps,
			  [ROUTE_SENDER_TRANSPORT_MAPS] =
				  conf->address_verify_sender_dependent_default_transport_maps },
		.local_transport = conf->address_verify_local_transport,
		.virtual_transport = conf->address_verify_virtual_transport,
		.relay_transport = conf->address_verify_relay_transport,
		.default_transport = conf->address_verify_default_transport,
		.relayhost = conf->address_verify_relayhost,
	};

	open_site(site, flags, &routing);
}

enum route_status site_resolve(struct site *site, struct lookup *lookup, struct span sender,
			       struct span address, struct route *ret)
{
	enum route_status status;

	site->lookup = lookup;
	site->reason = NULL;
	status = route_resolve(&site->config, &site->lookups, sender, address, ret);
	site->lookup = NULL;
	if (status == ROUTE_ERROR && site->reason != NULL)
		buf_printf(&ret->warning, ": %s", site->reason);
	return status;
}

bool site_rewrite(const struct site *site, enum route_context context, struct span address,
		  struct buf *out)
{
	return route_rewrite(&site->config, context, address, out);
}

bool site_has_changed(struct site *site)
{
	for (size_t i = 0; i < ROUTE_MAPS_COUNT; i++)
		if (maps_have_changed(site->maps[i]))
			return true;
	for (size_t i = 0; i < ROUTE_LIST_COUNT; i++)
		if (match_has_changed(site->lists[i]))
			return true;
	return false;
}
