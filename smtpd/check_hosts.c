/* SPDX-License-Identifier: MIT */
/*
 * Restrictions on the hosts behind a domain: check_*_a_access, _mx_access, _ns_access, and
 * permit_mx_backup. Mail servers, name servers and addresses are what a sender cannot change as
 * easily as a domain. postconf(5).
 */

#include <string.h>

#include "base/ip.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/domain.h"
#include "net/dns.h"
#include "smtpd/check.h"

enum { LOOKUP_MS = 30000, HOSTS_MAX = 100 };

static enum dns_status look_up(struct span name, enum dns_type type, unsigned flags,
			       struct dns_result *result)
{
	return dns_lookup(name, type, flags, clock_in_ms(LOOKUP_MS), result);
}

/* ---- access tables by host ---- */

/* One domain's hosts of one kind. */
struct hosts {
	struct check *check;
	const struct restriction *restriction;
	enum subject subject;
	const char *what; /* "mail server", for the log */
	bool is_found;
	enum verdict verdict;
};

/* A permission by such a host would be one that anybody can have: RFC 1035 lets him name ours. */
static enum verdict take_value(const struct hosts *hosts, struct span value)
{
	struct check *check = hosts->check;
	const char *table = maps_origin(hosts->restriction->maps);
	enum verdict verdict = access_action(check, hosts->subject, value, table);

	if (verdict != CHECK_PERMIT)
		return verdict;
	log_warn("restriction %s returns OK for %s", hosts->restriction->row->name,
		 subject_text(check, hosts->subject));
	log_warn("this is not allowed for security reasons");
	log_warn("use DUNNO instead of OK if you want to make an exception");
	return check_config_error(check);
}

static void take_answer(struct hosts *hosts, enum table_status status, struct span value)
{
	if (status == TABLE_NOT_FOUND || status == TABLE_PENDING)
		return;
	hosts->is_found = true;
	hosts->verdict = status == TABLE_FOUND
				 ? take_value(hosts, value)
				 : check_local_fault(hosts->check,
						     maps_error(hosts->restriction->maps));
}

static void try_name(struct hosts *hosts, struct span name)
{
	bool is_dotted = strstr(conf->parent_domain_matches_subdomains, "smtpd_access_maps") == NULL;
	struct span value;
	enum table_status status =
		maps_find_domain(hosts->restriction->maps, &hosts->check->session->lookup, name,
				 is_dotted, &value);

	take_answer(hosts, status, value);
}

static void try_address(struct hosts *hosts, struct span address)
{
	struct span value;
	enum table_status status = maps_find_network(
		hosts->restriction->maps, &hosts->check->session->lookup, address, &value);

	take_answer(hosts, status, value);
}

/* The name of one host, then its addresses. */
static void try_host(struct hosts *hosts, struct span name)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	struct dns_result result = { 0 };
	bool has_address = false;

	try_name(hosts, name);
	for (size_t i = 0; !hosts->is_found && i < ARRAY_LEN(types); i++) {
		enum dns_status status = look_up(name, types[i], DNS_WITH_HOSTS, &result);

		has_address |= status == DNS_FOUND || status == DNS_NO_DATA;
		for (size_t k = 0; status == DNS_FOUND && !hosts->is_found && k < result.count; k++)
			try_address(hosts, result.records[k].host);
	}
	if (!hosts->is_found && !has_address)
		log_warn("Unable to look up %s %s for %s %s", hosts->what, log_clean(name),
			 subject_word(hosts->subject), subject_text(hosts->check, hosts->subject));
	dns_result_done(&result);
}

static struct span parent_of(struct span domain)
{
	size_t at;

	return span_chr(domain, '.', &at) ? span_from(domain, at + 1) : SPAN("");
}

/*
 * The hosts of `domain`. A domain without MX record is its own mail server (RFC 5321 5.1); name servers
 * are those of the zone that the name is in.
 */
static enum dns_status find_hosts(struct span domain, enum dns_type type,
				  struct dns_result *result)
{
	enum dns_status status = look_up(domain, type, 0, result);

	while (type == DNS_NS && (status == DNS_NO_DATA || status == DNS_NO_NAME) &&
	       span_has(domain, '.')) {
		domain = parent_of(domain);
		status = look_up(domain, type, 0, result);
	}
	return status;
}

static void try_domain(struct hosts *hosts, struct span domain, enum dns_type type)
{
	struct dns_result result = { 0 };
	enum dns_status status = find_hosts(domain, type, &result);

	switch (status) {
	case DNS_FOUND:
		for (size_t i = 0; !hosts->is_found && i < result.count && i < HOSTS_MAX; i++) {
			struct span host = result.records[i].host;

			if (host.n > 0 && !span_is(host, ".")) /* RFC 7505 */
				try_host(hosts, host);
		}
		break;
	case DNS_NO_DATA:
	case DNS_NO_NAME:
		if (type == DNS_MX)
			try_host(hosts, domain);
		break;
	case DNS_TEMPORARY:
	case DNS_INVALID:
		log_warn("Unable to look up %s for %s: %s", hosts->what, log_clean(domain),
			 result.reason);
		break;
	}
	dns_result_done(&result);
}

static enum verdict host_access(struct check *check, const struct restriction *restriction,
				struct span domain, enum dns_type type)
{
	struct hosts hosts = { .check = check,
			       .restriction = restriction,
			       .subject = restriction->row->subject,
			       .what = type == DNS_MX   ? "mail server"
				       : type == DNS_NS ? "name server"
							: "host",
			       .verdict = CHECK_DUNNO };
	char text[IP_TEXT_MAX];
	struct ip_addr address;

	if (domain.n == 0)
		return CHECK_DUNNO;
	if (domain.p[0] == '[') {
		if (domain_check_literal(domain, &address) == DOMAIN_OK)
			try_address(&hosts, ip_text(&address, text));
	} else if (type == DNS_A) {
		try_host(&hosts, domain);
	} else if (domain_check_name(domain, false) == DOMAIN_OK) {
		try_domain(&hosts, domain, type);
	}
	return hosts.verdict;
}

/* The domain that the subject of a restriction has now; empty when there is none. */
static struct span domain_of(const struct check *check, enum subject subject)
{
	const struct session *s = check->session;

	switch (subject) {
	case SUBJECT_CLIENT:
		return s->peer.name_status == PEER_OK ? span_of(s->peer.name) : SPAN("");
	case SUBJECT_HELO: return buf_span(&s->helo);
	case SUBJECT_SENDER:
		return s->mail.is_open ? addr_split(s->mail.mail.sender).domain : SPAN("");
	case SUBJECT_RCPT: return addr_split(check->rcpt).domain;
	case SUBJECT_DATA:
	case SUBJECT_END_OF_DATA:
	case SUBJECT_LOGIN:
	case SUBJECT_ETRN: return check->etrn_domain;
	}
	return SPAN("");
}

enum verdict check_host_a_access(struct check *check, const struct restriction *restriction)
{
	return host_access(check, restriction, domain_of(check, restriction->row->subject), DNS_A);
}

enum verdict check_host_mx_access(struct check *check, const struct restriction *restriction)
{
	return host_access(check, restriction, domain_of(check, restriction->row->subject), DNS_MX);
}

enum verdict check_host_ns_access(struct check *check, const struct restriction *restriction)
{
	return host_access(check, restriction, domain_of(check, restriction->row->subject), DNS_NS);
}

static struct span reverse_name(const struct check *check)
{
	const struct peer *peer = &check->session->peer;

	return peer->reverse_status == PEER_OK ? span_of(peer->reverse_name) : SPAN("");
}

enum verdict check_reverse_a_access(struct check *check, const struct restriction *restriction)
{
	return host_access(check, restriction, reverse_name(check), DNS_A);
}

enum verdict check_reverse_mx_access(struct check *check, const struct restriction *restriction)
{
	return host_access(check, restriction, reverse_name(check), DNS_MX);
}

enum verdict check_reverse_ns_access(struct check *check, const struct restriction *restriction)
{
	return host_access(check, restriction, reverse_name(check), DNS_NS);
}

/* ---- permit_mx_backup ---- */

/* Whether any address of `host` is in `list`. */
static bool host_is_in(struct check *check, struct span host, struct match_list *list)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	struct dns_result result = { 0 };
	bool is_in = false;

	for (size_t i = 0; !is_in && i < ARRAY_LEN(types); i++) {
		enum dns_status status = look_up(host, types[i], DNS_WITH_HOSTS, &result);

		for (size_t k = 0; status == DNS_FOUND && !is_in && k < result.count; k++)
			is_in = match_client(list, &check->session->lookup, host,
					     result.records[k].host) == MATCH_YES;
	}
	dns_result_done(&result);
	return is_in;
}

static bool is_best(const struct dns_result *mx, size_t index)
{
	for (size_t i = 0; i < mx->count; i++)
		if (mx->records[i].preference < mx->records[index].preference)
			return false;
	return true;
}

/* We are a mail server of the domain, and its best ones are where permit_mx_backup_networks says. */
static bool is_backup(struct check *check, const struct dns_result *mx)
{
	bool is_ours = false, is_allowed = match_is_empty(tables.mx_backup_networks);

	for (size_t i = 0; i < mx->count && i < HOSTS_MAX; i++) {
		struct span host = mx->records[i].host;

		is_ours = is_ours || host_is_in(check, host, tables.site.own_addresses);
		is_allowed = is_allowed || (is_best(mx, i) &&
					    host_is_in(check, host, tables.mx_backup_networks));
	}
	return is_ours && is_allowed;
}

enum verdict permit_mx_backup(struct check *check, const struct restriction *restriction)
{
	struct span domain = addr_split(check->rcpt).domain;
	struct dns_result mx = { 0 };
	enum verdict verdict = permit_auth_destination(check, restriction);

	if (verdict != CHECK_DUNNO || domain.n == 0 || domain.p[0] == '[' || check->route.is_routed)
		return verdict;
	switch (look_up(domain, DNS_MX, 0, &mx)) {
	case DNS_FOUND: verdict = is_backup(check, &mx) ? CHECK_PERMIT : CHECK_DUNNO; break;
	case DNS_TEMPORARY:
		verdict = check_defer_if_permit(check, SUBJECT_RCPT, 450, "4.4.4",
						"Unable to look up mail exchanger information");
		break;
	case DNS_NO_NAME:
	case DNS_NO_DATA:
	case DNS_INVALID: break;
	}
	dns_result_done(&mx);
	return verdict;
}
