/* SPDX-License-Identifier: MIT */
/*
 * Addresses to destinations; see route.h. Runs in smtpd, cleanup, qmgr and sendmail -bv, on
 * addresses from peers. ADDRESS_CLASS_README, trivial-rewrite(8), transport(5), relocated(5).
 */

#include "base/fold.h"
#include "base/ip.h"
#include "base/utf8.h"
#include "mail/addr.h"
#include "mail/domain.h"
#include "mail/idna.h"
#include "route/parts.h"
#include "route/route.h"

enum { TEXT_LIMIT = 65536, NESTING_MAX = 100 };

/* What one call works on. */
struct work {
	const struct route_config *config;
	const struct route_lookups *lookups;
	struct span sender;
	struct route *out;
	struct buf address; /* what is left of the address while local domains are peeled off */
	struct buf domain; /* of the recipient, in lower case, for lists */
};

void route_init(struct route *route)
{
	*route = (struct route){ .class = ROUTE_CLASS_DEFAULT };
	buf_init(&route->transport, TEXT_LIMIT);
	buf_init(&route->nexthop, TEXT_LIMIT);
	buf_init(&route->recipient, TEXT_LIMIT);
	buf_init(&route->warning, TEXT_LIMIT);
}

void route_done(struct route *route)
{
	buf_done(&route->transport);
	buf_done(&route->nexthop);
	buf_done(&route->recipient);
	buf_done(&route->warning);
}

static void route_reset(struct route *route)
{
	route->class = ROUTE_CLASS_DEFAULT;
	route->is_routed = route->is_bad = route->is_conflict = false;
	buf_reset(&route->transport);
	buf_reset(&route->nexthop);
	buf_reset(&route->recipient);
	buf_reset(&route->warning);
}

/* "transport:nexthop"; the nexthop may be missing, with or without the colon. */
static void set_transport(struct route *out, struct span spec)
{
	struct span transport = spec, nexthop = { NULL, 0 };

	(void)span_cut(spec, ':', &transport, &nexthop);
	buf_set(&out->transport, span_trim(transport));
	buf_set(&out->nexthop, span_trim(nexthop));
}

static void set_error(struct route *out, const char *text)
{
	buf_set(&out->transport, SPAN("error"));
	buf_set(&out->nexthop, span_of(text));
}

/*
 * Whether `domain` is in a list. A name beyond ASCII is looked for as it is and as A-label,
 * so that it does not matter which of the two the peer and the administrator use.
 */
static enum route_status in_list(struct work *work, enum route_list list, struct span domain)
{
	const struct route_lookups *lookups = work->lookups;
	struct buf ascii = BUF_INIT(TEXT_LIMIT);
	enum route_status status;

	if (!fold_text(domain, true, &work->domain))
		return ROUTE_NOT_FOUND; /* far longer than any name */
	status = lookups->match(lookups->context, list, buf_span(&work->domain));
	if (status == ROUTE_NOT_FOUND && utf8_has_8bit(domain) &&
	    idna_to_ascii(&ascii, domain, work->config->idna2003))
		status = lookups->match(lookups->context, list, buf_span(&ascii));
	buf_done(&ascii);
	if (status == ROUTE_ERROR)
		buf_printf(&work->out->warning, "domain list lookup failure for %.*s",
			   SPAN_ARG(domain));
	return status;
}

/* mydestination, or an address literal of ours. */
static enum route_status is_local_domain(struct work *work, struct span domain)
{
	struct ip_addr addr;

	if (domain.n > 0 && domain.p[0] == '[') {
		if (domain_check_literal(domain, &addr) == DOMAIN_OK &&
		    work->lookups->is_own_address(work->lookups->context, &addr))
			return ROUTE_OK;
		return ROUTE_NOT_FOUND;
	}
	return in_list(work, ROUTE_MYDESTINATION, domain);
}

static bool is_good_domain(const struct route_config *config, struct span domain)
{
	struct buf ascii = BUF_INIT(TEXT_LIMIT);
	enum domain_status status = domain_check(domain, true);
	bool is_good = status == DOMAIN_OK ||
		       (status == DOMAIN_NUMERIC && config->resolve_numeric_domain);

	if (is_good && domain_check(domain, false) == DOMAIN_BAD_CHAR)
		is_good = idna_to_ascii(&ascii, domain, config->idna2003);
	buf_done(&ascii);
	return is_good;
}

/* user@1.2.3.4 to user@[1.2.3.4], where that is wanted. */
static void bracket_numeric(struct work *work)
{
	struct addr addr = addr_split(buf_span(&work->address));
	char text[IP_TEXT_MAX];
	struct ip_addr number;

	if (!work->config->resolve_numeric_domain || !ip_parse(addr.domain, &number))
		return;
	buf_truncate(&work->address, addr.local.n);
	buf_printf(&work->address, "@[%s%s]", number.family == IP_V6 ? "IPv6:" : "",
		   ip_text(&number, text).p);
}

/* Puts `user` "@" `domain` in place of the address; both may point into it. */
static void set_address(struct work *work, struct span user, struct span domain)
{
	struct buf fresh = BUF_INIT(TEXT_LIMIT);

	buf_add(&fresh, user);
	buf_char(&fresh, '@');
	buf_add(&fresh, domain);
	buf_set(&work->address, buf_span(&fresh));
	buf_done(&fresh);
}

/* Source route and trailing dot go, numeric and null domains become what they are taken for. */
static void clean_address(struct work *work)
{
	struct span address = buf_span(&work->address);
	struct span all = route_strip_route(address);
	struct addr addr;

	buf_consume(&work->address, address.n - all.n);
	addr = addr_split(buf_span(&work->address));
	if (!addr.has_domain)
		return;
	buf_truncate(&work->address, buf_span(&work->address).n -
					     (addr.domain.n - route_strip_dot(addr.domain).n));
	bracket_numeric(work);
	addr = addr_split(buf_span(&work->address));
	if (addr.domain.n == 0 && work->config->resolve_null_domain)
		set_address(work,
			    addr.local.n > 0 ? addr.local : work->config->empty_address_recipient,
			    work->config->myhostname);
}

/*
 * Takes local domains away as long as what is left names another place: user%d@local,
 * site!user@local, "user@d"@local. ROUTE_OK: what is left is a local user, and the domain that
 * it had is in *domain. ROUTE_NOT_FOUND: the address belongs elsewhere.
 */
static enum route_status peel_local_domains(struct work *work, struct buf *domain)
{
	const struct route_config *config = work->config;
	enum route_status status;

	for (unsigned round = 0; round < NESTING_MAX; round++) {
		struct addr addr;
		struct span user, site;

		clean_address(work);
		addr = addr_split(buf_span(&work->address));
		if (!addr.has_domain) {
			if (route_swap_local(config, addr.local, &user, &site))
				set_address(work, user, site);
			else if (buf_span(domain).n > 0)
				return ROUTE_OK;
			else
				set_address(work, addr.local, config->myhostname);
			continue;
		}
		if (addr.domain.n == 0)
			return ROUTE_NOT_FOUND;
		status = is_local_domain(work, addr.domain);
		if (status != ROUTE_OK)
			return status;
		buf_set(domain, addr.domain);
		buf_truncate(&work->address, addr.local.n);
		if (addr.local.n == 0)
			buf_set(&work->address, config->empty_address_recipient);
		else if (!config->resolve_dequoted_address && !addr_is_dot_string(addr.local))
			return ROUTE_OK;
	}
	return ROUTE_OK;
}

/* Whether the local part has routing of its own that nobody here followed. */
static bool has_routing(struct span local)
{
	return span_has(local, '@') || span_has(local, '!') || span_has(local, '%');
}

static void finish_local(struct work *work, struct span domain)
{
	struct route *out = work->out;

	out->class = ROUTE_CLASS_LOCAL;
	out->is_routed = has_routing(buf_span(&work->address));
	buf_add(&out->recipient, buf_span(&work->address));
	buf_char(&out->recipient, '@');
	buf_add(&out->recipient, domain);
	set_transport(out, work->config->local_transport);
	if (buf_span(&out->nexthop).n == 0)
		buf_set(&out->nexthop, domain);
}

/* Also in `second`? Said, since only the first class counts. */
static enum route_status warn_conflict(struct work *work, struct span domain, const char *first,
				       enum route_list list, const char *second)
{
	enum route_status status = in_list(work, list, domain);

	if (status == ROUTE_OK) {
		work->out->is_conflict = true;
		buf_reset(&work->out->warning);
		buf_printf(&work->out->warning, "do not list domain %.*s in BOTH %s and %s",
			   SPAN_ARG(domain), first, second);
	}
	return status == ROUTE_ERROR || status == ROUTE_PENDING ? status : ROUTE_NOT_FOUND;
}

static enum route_status warn_local_conflicts(struct work *work, struct span domain)
{
	enum route_status status = warn_conflict(work, domain, "mydestination",
						 ROUTE_VIRTUAL_ALIAS_DOMAINS,
						 "virtual_alias_domains");

	if (status == ROUTE_NOT_FOUND)
		status = warn_conflict(work, domain, "mydestination", ROUTE_VIRTUAL_MAILBOX_DOMAINS,
				       "virtual_mailbox_domains");
	return status;
}

/* A setting by sender; DUNNO ends the search with nothing. */
static enum route_status find_by_sender(struct work *work, enum route_maps maps,
					struct span empty_key, struct span *ret_value)
{
	struct span key = work->sender.n > 0 ? work->sender : empty_key;
	enum route_status status, local = ROUTE_NOT_FOUND;
	struct addr addr = addr_split(key);

	if (!work->lookups->has_maps[maps])
		return ROUTE_NOT_FOUND;
	if (addr.has_domain)
		local = is_local_domain(work, addr.domain);
	if (local == ROUTE_ERROR || local == ROUTE_PENDING)
		return local;
	status = route_find_address(work->config, work->lookups, maps, key, local == ROUTE_OK,
				    ret_value);
	if (status == ROUTE_OK && span_is_nocase(*ret_value, "DUNNO"))
		return ROUTE_NOT_FOUND;
	if (status == ROUTE_ERROR)
		buf_printf(&work->out->warning, "%s lookup failure",
			   maps == ROUTE_SENDER_RELAYHOST_MAPS ? "sender_dependent_relayhost_maps" :
							 "sender_dependent_default_transport_maps");
	return status;
}

/* Without nexthop in the transport: relayhost by sender, relayhost, the domain itself. */
static enum route_status finish_relay(struct work *work, struct span domain)
{
	struct route *out = work->out;
	struct span relayhost = work->config->relayhost;
	enum route_status status;

	if (buf_span(&out->nexthop).n > 0)
		return ROUTE_OK;
	status = find_by_sender(work, ROUTE_SENDER_RELAYHOST_MAPS,
				work->config->empty_relayhost_key, &relayhost);
	if (status == ROUTE_ERROR || status == ROUTE_PENDING)
		return status;
	if (status == ROUTE_NOT_FOUND)
		relayhost = work->config->relayhost;
	buf_set(&out->nexthop, relayhost.n > 0 ? relayhost : domain);
	return ROUTE_OK;
}

static enum route_status finish_default(struct work *work, struct span domain)
{
	struct span transport = work->config->default_transport;
	enum route_status status = find_by_sender(work, ROUTE_SENDER_TRANSPORT_MAPS,
						  work->config->empty_transport_key, &transport);

	if (status == ROUTE_ERROR || status == ROUTE_PENDING)
		return status;
	work->out->class = ROUTE_CLASS_DEFAULT;
	set_transport(work->out, status == ROUTE_OK ? transport : work->config->default_transport);
	return finish_relay(work, domain);
}

static enum route_status finish_virtual_alias(struct work *work, struct span domain)
{
	work->out->class = ROUTE_CLASS_VIRTUAL_ALIAS;
	set_error(work->out, work->config->show_user_unknown_table_name
				     ? "5.1.1 User unknown in virtual alias table"
				     : "5.1.1 User unknown");
	return warn_conflict(work, domain, "virtual_alias_domains", ROUTE_VIRTUAL_MAILBOX_DOMAINS,
			     "virtual_mailbox_domains");
}

static void finish_virtual_mailbox(struct work *work, struct span domain)
{
	work->out->class = ROUTE_CLASS_VIRTUAL_MAILBOX;
	set_transport(work->out, work->config->virtual_transport);
	if (buf_span(&work->out->nexthop).n == 0)
		buf_set(&work->out->nexthop, domain);
}

/* The class of a domain that is not local, and what follows from it. */
static enum route_status finish_elsewhere(struct work *work, struct span domain)
{
	enum route_status status = in_list(work, ROUTE_VIRTUAL_ALIAS_DOMAINS, domain);

	if (status == ROUTE_OK) {
		status = finish_virtual_alias(work, domain);
		return status == ROUTE_NOT_FOUND ? ROUTE_OK : status;
	}
	if (status == ROUTE_NOT_FOUND) {
		status = in_list(work, ROUTE_VIRTUAL_MAILBOX_DOMAINS, domain);
		if (status == ROUTE_OK) {
			finish_virtual_mailbox(work, domain);
			return ROUTE_OK;
		}
	}
	if (status == ROUTE_NOT_FOUND) {
		status = in_list(work, ROUTE_RELAY_DOMAINS, domain);
		if (status == ROUTE_OK) {
			work->out->class = ROUTE_CLASS_RELAY;
			set_transport(work->out, work->config->relay_transport);
			return finish_relay(work, domain);
		}
	}
	return status == ROUTE_NOT_FOUND ? finish_default(work, domain) : status;
}

/* transport(5): an entry overrides all of the above, but an alias has nothing to deliver. */
static enum route_status apply_transport_maps(struct work *work)
{
	struct route *out = work->out;
	struct span value, transport, nexthop = { NULL, 0 };
	enum route_status status;

	if (!work->lookups->has_maps[ROUTE_TRANSPORT_MAPS] ||
	    out->class == ROUTE_CLASS_VIRTUAL_ALIAS)
		return ROUTE_OK;
	status = route_find_transport(work->config, work->lookups, buf_span(&out->recipient),
				      &value);
	if (status == ROUTE_ERROR)
		buf_text(&out->warning, "transport_maps lookup failure");
	if (status != ROUTE_OK)
		return status == ROUTE_NOT_FOUND ? ROUTE_OK : status;
	transport = value;
	(void)span_cut(value, ':', &transport, &nexthop);
	transport = span_trim(transport);
	nexthop = span_trim(nexthop);
	if (transport.n > 0) {
		buf_set(&out->transport, transport);
		buf_set(&out->nexthop,
			nexthop.n > 0 ? nexthop : addr_split(buf_span(&out->recipient)).domain);
	} else if (nexthop.n > 0) {
		buf_set(&out->nexthop, nexthop);
	}
	return ROUTE_OK;
}

/* relocated(5): the user is gone, with a word where to. */
static enum route_status apply_relocated_maps(struct work *work)
{
	struct route *out = work->out;
	struct span value;
	enum route_status status;

	if (!work->lookups->has_maps[ROUTE_RELOCATED_MAPS])
		return ROUTE_OK;
	status = route_find_address(work->config, work->lookups, ROUTE_RELOCATED_MAPS,
				    buf_span(&out->recipient), out->class == ROUTE_CLASS_LOCAL,
				    &value);
	if (status == ROUTE_ERROR)
		buf_text(&out->warning, "relocated_maps lookup failure");
	if (status != ROUTE_OK)
		return status == ROUTE_NOT_FOUND ? ROUTE_OK : status;
	buf_set(&out->transport, SPAN("error"));
	buf_reset(&out->nexthop);
	/* Without the prefix, the table has the status and all of the text. */
	buf_printf(&out->nexthop, "%s%.*s",
		   work->config->relocated_prefix_enable ? "5.1.6 User has moved to " : "", SPAN_ARG(value));
	return ROUTE_OK;
}

static enum route_status bad_address(struct work *work, const char *text)
{
	work->out->is_bad = true;
	buf_set(&work->out->recipient, buf_span(&work->address));
	set_error(work->out, text);
	return ROUTE_OK;
}

/* Class, transport and nexthop by domain alone. */
static enum route_status by_domain(struct work *work)
{
	struct route *out = work->out;
	struct buf local_domain = BUF_INIT(TEXT_LIMIT);
	enum route_status status = peel_local_domains(work, &local_domain);
	struct addr addr;

	if (status == ROUTE_OK) {
		finish_local(work, buf_span(&local_domain));
		if (!span_starts(buf_span(&local_domain), SPAN("[")))
			status = warn_local_conflicts(work, buf_span(&local_domain));
		if (status == ROUTE_NOT_FOUND)
			status = ROUTE_OK;
	} else if (status == ROUTE_NOT_FOUND) {
		addr = addr_split(buf_span(&work->address));
		out->is_routed = has_routing(addr.local);
		if (!is_good_domain(work->config, addr.domain)) {
			status = bad_address(work, "5.1.3 bad address syntax");
		} else {
			buf_set(&out->recipient, buf_span(&work->address));
			status = finish_elsewhere(work, addr.domain);
		}
	}
	buf_done(&local_domain);
	return status;
}

enum route_status route_resolve(const struct route_config *config,
				const struct route_lookups *lookups, struct span sender,
				struct span address, struct route *ret)
{
	struct work work = {
		.config = config, .lookups = lookups, .sender = sender, .out = ret,
		.address = BUF_INIT(TEXT_LIMIT), .domain = BUF_INIT(TEXT_LIMIT),
	};
	enum route_status status;

	route_reset(ret);
	buf_add(&work.address, address.n > 0 ? address : config->empty_address_recipient);
	status = by_domain(&work);
	if (status == ROUTE_OK && !ret->is_bad && buf_span(&ret->recipient).n > 0 &&
	    buf_span(&ret->recipient).p[0] == '-' && !config->allow_min_user)
		status = bad_address(&work, "5.1.3 bad address syntax");
	if (status == ROUTE_OK && !ret->is_bad)
		status = apply_transport_maps(&work);
	if (status == ROUTE_OK && !ret->is_bad)
		status = apply_relocated_maps(&work);
	buf_done(&work.address);
	buf_done(&work.domain);
	return status;
}
