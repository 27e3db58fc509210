/* SPDX-License-Identifier: MIT */
/*
 * The addresses of a target, in the order in which they are tried (RFC 5321 5.1, RFC 7505).
 * Names and addresses come from the dns service, which has checked their form.
 */

#include "smtp.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/words.h"
#include "conf/conf.h"
#include "mail/domain.h"
#include "mail/idna.h"
#include "net/dns.h"
#include "route/site.h"

enum { LOOKUP_TIMEOUT_MS = 120 * 1000 };

/* How hosts are looked up, from smtp_dns_support_level, smtp_host_lookup and inet_protocols. */
static struct {
	bool has_dns;                /* for MX and SRV records at least */
	bool is_secure;              /* DNSSEC */
	unsigned flags;              /* of lookups: DNS_WANT_SECURE, or 0 */
	bool is_by_dns, is_by_hosts; /* /etc/hosts first, then DNS */
	bool has_ipv4, has_ipv6;
} ways;

void hosts_prepare(void)
{
	struct span protocols = span_of(conf->inet_protocols);
	struct span lookups = span_of(conf->smtp_host_lookup);
	bool is_any = words_have(protocols, SPAN("all"));

	ways.has_dns = strcmp(conf->smtp_dns_support_level, "disabled") != 0 &&
		       (*conf->smtp_dns_support_level != '\0' || !conf->disable_dns_lookups);
	ways.is_secure = strcmp(conf->smtp_dns_support_level, "dnssec") == 0;
	ways.flags = ways.is_secure ? DNS_WANT_SECURE : 0;
	ways.is_by_hosts = words_have(lookups, SPAN("native")) || !ways.has_dns;
	ways.is_by_dns = words_have(lookups, SPAN("dns")) && ways.has_dns;
	ways.has_ipv4 = is_any || words_have(protocols, SPAN("ipv4"));
	ways.has_ipv6 = is_any || words_have(protocols, SPAN("ipv6"));
}

bool hosts_have_dns(void)
{
	return ways.has_dns;
}

static unsigned random_number(void)
{
	unsigned number = 0;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0)
		number = (unsigned)clock_mono_now().us;
	return number;
}

static struct clock_mono lookup_deadline(void)
{
	return clock_in_ms(LOOKUP_TIMEOUT_MS);
}

/* A lookup that found nothing. */
static void why_lookup(struct why *why, const struct dns_result *result)
{
	const char *status = result->rcode == DNS_FAIL_FILTER ||
					     result->rcode == DNS_FAIL_FILTER_TABLE ? "4.7.0"
			     : result->status == DNS_TEMPORARY ? "4.4.3"
							       : "5.4.4";

	why_set(why, status, "%s", result->reason);
}

/* ---- one host ---- */

static unsigned family_rank(enum ip_family family)
{
	const char *preferred = conf->smtp_address_preference;

	if (strcmp(preferred, "any") == 0)
		return 0;
	return family == (strcmp(preferred, "ipv6") == 0 ? IP_V6 : IP_V4) ? 0 : 1;
}

static void add_address(struct hosts *hosts, struct span name, const struct ip_addr *addr,
			uint16_t port, unsigned preference)
{
	struct host *host = &hosts->list[hosts->count];

	if (hosts->count == HOSTS_MAX)
		return;
	*host = (struct host){ .name = name, .addr = *addr, .port = port,
			       .preference = preference,
			       .family_rank = family_rank(addr->family),
			       .asked = name };
	host->order = conf->smtp_randomize_addresses ? random_number() : (unsigned)hosts->count;
	hosts->count++;
}

/* The name by which a host goes on: with smtp_cname_overrides_servername that behind a CNAME. */
static struct span server_name(struct transfer *transfer, struct span name,
			       const struct dns_result *result)
{
	if (conf->smtp_cname_overrides_servername && result->canonical_name.n > 0)
		return arena_span(&transfer->delivery->arena, result->canonical_name);
	return name;
}

/* What DNSSEC says of the hosts from `first` on. */
static void note_security(struct transfer *transfer, struct hosts *hosts, size_t first,
			  struct span name, const struct dns_result *result)
{
	struct span canonical = arena_span(&transfer->delivery->arena, result->canonical_name);

	for (size_t i = first; i < hosts->count; i++) {
		hosts->list[i].asked = name;
		hosts->list[i].canonical = canonical;
		hosts->list[i].is_secure = result->is_secure;
	}
}

/* A, AAAA or both. The worst status is returned when nothing was found. */
static enum dns_status look_up_host(struct transfer *transfer, struct hosts *hosts,
				    struct span name, uint16_t port, unsigned preference,
				    unsigned flags)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	struct dns_result result = { 0 };
	enum dns_status worst = DNS_NO_NAME;
	size_t before = hosts->count;

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (types[i] == DNS_A ? !ways.has_ipv4 : !ways.has_ipv6)
			continue;

		enum dns_status status =
			dns_lookup(name, types[i], flags, lookup_deadline(), &result);
		struct ip_addr addr;

		size_t first = hosts->count;

		for (size_t k = 0; k < result.count; k++)
			if (ip_parse(result.records[k].host, &addr))
				add_address(hosts, server_name(transfer, name, &result), &addr, port,
					    preference);
		note_security(transfer, hosts, first, name, &result);
		if ((flags & DNS_WANT_SECURE) != 0)
			dnssec_note(&result);
		if (status == DNS_FOUND || worst == DNS_TEMPORARY)
			continue;
		worst = status == DNS_TEMPORARY || worst == DNS_NO_NAME ? status : worst;
		why_lookup(&transfer->why, &result);
	}
	dns_result_done(&result);
	return hosts->count > before ? DNS_FOUND : worst;
}

/*
 * By the ways of smtp_host_lookup. transfer->why is set unless DNS_FOUND. Where DNSSEC is wanted, a
 * lookup that failed for now is no reason to believe /etc/hosts.
 */
static enum dns_status find_host(struct transfer *transfer, struct hosts *hosts, struct span name,
				 uint16_t port, unsigned preference)
{
	struct ip_addr addr;
	enum dns_status status = DNS_NO_NAME;

	if (ip_parse(name, &addr)) {
		if (addr.family == IP_V4 ? ways.has_ipv4 : ways.has_ipv6) {
			add_address(hosts, name, &addr, port, preference);
			return DNS_FOUND;
		}
		why_set(&transfer->why, "5.4.4", "%.*s: not in inet_protocols", SPAN_ARG(name));
		return DNS_NO_DATA;
	}
	if (ways.is_by_dns)
		status = look_up_host(transfer, hosts, name, port, preference, ways.flags);
	if (status != DNS_FOUND && ways.is_by_hosts &&
	    !(ways.is_secure && status == DNS_TEMPORARY))
		status = look_up_host(transfer, hosts, name, port, preference, DNS_WITH_HOSTS);
	return status;
}

/* ---- order ---- */

static int compare_hosts(const void *left, const void *right)
{
	const struct host *a = left, *b = right;

	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	if (a->family_rank != b->family_rank)
		return a->family_rank < b->family_rank ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/*
 * smtp_balance_inet_protocols: when the addresses that will be tried are all of one family and
 * there are others, the first of these takes the last place among them.
 */
static void balance(struct hosts *hosts)
{
	size_t limit = (size_t)conf->smtp_mx_address_limit;
	enum ip_family family = hosts->count > 0 ? hosts->list[0].addr.family : IP_NONE;

	if (!conf->smtp_balance_inet_protocols || limit < 2 || hosts->count <= limit)
		return;
	for (size_t i = 1; i < hosts->count; i++) {
		struct host other = hosts->list[i];

		if (other.addr.family == family)
			continue;
		if (i >= limit) {
			memmove(&hosts->list[limit], &hosts->list[limit - 1],
				(i - limit + 1) * sizeof(other));
			hosts->list[limit - 1] = other;
		}
		return;
	}
}

/*
 * When we are an MX ourselves, only better ones are of use: the others would send it back to us
 * (RFC 5321 5.1). Such addresses go from the sorted list; why is set when none is left.
 */
static void drop_from_self(struct transfer *transfer, const char *domain, struct hosts *hosts)
{
	for (size_t i = 0; i < hosts->count; i++) {
		size_t first = i;

		if (hosts->list[i].port != 25 ||
		    !site.lookups.is_own_address(site.lookups.context, &hosts->list[i].addr))
			continue;
		while (first > 0 && hosts->list[first - 1].preference == hosts->list[i].preference)
			first--;
		transfer->is_own_backup = true;
		hosts->count = first;
		if (first > 0)
			return;
		if (hosts->list[i].preference > hosts->best_preference)
			why_set(&transfer->why, "4.4.4", "unable to find primary relay for %s",
				domain);
		else
			why_set(&transfer->why, "5.4.6", "mail for %s loops back to myself", domain);
		transfer->is_own_best = hosts->list[i].preference == hosts->best_preference;
		return;
	}
}

/* The records that all hosts come from may be forged, unless DNSSEC vouches for them. */
static void note_source(struct hosts *hosts, const struct dns_result *result)
{
	for (size_t i = 0; i < hosts->count; i++)
		hosts->list[i].is_mx_insecure = !result->is_secure;
	if (ways.is_secure)
		dnssec_note(result);
}

/* ---- MX ---- */

/* RFC 7505 3: one record with preference 0 and the root as host. */
static bool is_null_mx(const struct dns_result *mx)
{
	return mx->count == 1 && mx->records[0].host.n == 0;
}

static bool find_all(struct transfer *transfer, const struct target *target,
		     const struct dns_result *mx, struct hosts *ret)
{
	enum dns_status worst = DNS_NO_NAME;

	for (size_t i = 0; i < mx->count && ret->count < HOSTS_MAX; i++) {
		const struct msg_dns_record *record = &mx->records[i];
		struct span name = arena_span(&transfer->delivery->arena, record->host);
		enum dns_status status;

		if (i == 0 || record->preference < ret->best_preference)
			ret->best_preference = record->preference;
		if (name.n == 0)
			continue;
		status = find_host(transfer, ret, name, target->port, record->preference);
		if (worst != DNS_TEMPORARY)
			worst = status;
	}
	if (ret->count > 0)
		return true;
	log_warn("no MX host for %s has a valid address record", log_clean(target->text));
	/* The reason of the last host stands, with a status for all of them. */
	if (worst == DNS_TEMPORARY || conf->smtp_defer_if_no_mx_address_found)
		transfer->why.status[0] = '4';
	return false;
}

static bool find_by_mx(struct transfer *transfer, const struct target *target, struct span domain,
		       struct hosts *ret)
{
	struct dns_result mx = { 0 };
	enum dns_status status = dns_lookup(domain, DNS_MX, ways.flags, lookup_deadline(), &mx);
	bool is_found = false;

	if (status == DNS_FOUND && is_null_mx(&mx)) {
		transfer->is_unwanted = true;
		why_set(&transfer->why, "5.1.0", "Domain %.*s does not accept mail (nullMX)",
			SPAN_ARG(domain));
	} else if (status == DNS_FOUND) {
		is_found = find_all(transfer, target, &mx, ret);
		note_source(ret, &mx);
	} else if (status == DNS_NO_NAME || status == DNS_NO_DATA || conf->ignore_mx_lookup_error)
		is_found = find_host(transfer, ret, domain, target->port, 0) == DNS_FOUND;
	else
		why_lookup(&transfer->why, &mx);
	dns_result_done(&mx);
	return is_found;
}

/* ---- SRV (RFC 2782) ---- */

/* The hosts in the order of their records: each record counts as a preference of its own. */
static bool find_all_by_srv(struct transfer *transfer, struct dns_result *srv, struct hosts *ret)
{
	srv_order(srv->records, srv->count, random_number);
	for (size_t i = 0; i < srv->count && ret->count < HOSTS_MAX; i++) {
		const struct msg_dns_record *record = &srv->records[i];
		struct span name = arena_span(&transfer->delivery->arena, record->host);

		if (name.n > 0 && record->port > 0 && record->port <= UINT16_MAX)
			(void)find_host(transfer, ret, name, (uint16_t)record->port, (unsigned)i);
	}
	return ret->count > 0;
}

/* use_srv_lookup. *ret_is_settled: there is nothing else to look for, whatever was found. */
static bool find_by_srv(struct transfer *transfer, const struct target *target, struct span domain,
			struct hosts *ret, bool *ret_is_settled)
{
	struct dns_result srv = { 0 };
	struct buf name = BUF_INIT(512);
	enum dns_status status;
	bool is_found = false, has_failed;

	(void)buf_printf(&name, "_%.*s._tcp.%.*s", SPAN_ARG(target->service), SPAN_ARG(domain));
	status = dns_lookup(buf_span(&name), DNS_SRV, ways.flags, lookup_deadline(), &srv);
	has_failed = status == DNS_TEMPORARY || status == DNS_INVALID;
	*ret_is_settled = status == DNS_FOUND ||
			  !(conf->allow_srv_lookup_fallback ||
			    (has_failed && conf->ignore_srv_lookup_error));
	if (status == DNS_FOUND && srv.count == 1 && srv.records[0].host.n == 0) {
		transfer->is_unwanted = true;
		why_set(&transfer->why, "5.1.0", "Domain %.*s does not offer the service %.*s",
			SPAN_ARG(domain), SPAN_ARG(target->service));
	} else if (status == DNS_FOUND) {
		is_found = find_all_by_srv(transfer, &srv, ret);
		note_source(ret, &srv);
	} else
		why_lookup(&transfer->why, &srv);
	dns_result_done(&srv);
	buf_done(&name);
	return is_found;
}

/* ---- all together ---- */

/* The name as DNS has it. False: it cannot be one. */
static bool to_dns_name(struct transfer *transfer, struct span name, struct span *ret)
{
	struct buf ascii = BUF_INIT(DOMAIN_NAME_MAX + 1);
	struct ip_addr addr;
	bool is_good = idna_to_ascii(&ascii, name, false) &&
		       (ip_parse(name, &addr) ||
			domain_check_name(buf_span(&ascii), false) == DOMAIN_OK);

	if (is_good)
		*ret = arena_span(&transfer->delivery->arena, buf_span(&ascii));
	else
		why_set(&transfer->why, "5.4.4", "Invalid host or domain name: %s", log_clean(name));
	buf_done(&ascii);
	return is_good;
}

static bool find(struct transfer *transfer, const struct target *target, struct hosts *ret)
{
	struct span name;
	struct ip_addr addr;
	bool is_address, is_found = false, is_settled = false;

	ret->count = 0;
	ret->best_preference = 0;
	transfer->is_unwanted = false;
	if (target->host.n == 0) {
		why_set(&transfer->why, "4.3.5", "malformed destination: %s",
			log_clean(target->text));
		return false;
	}
	if (ip_parse(target->host, &addr))
		name = arena_span(&transfer->delivery->arena, target->host);
	else if (!to_dns_name(transfer, target->host, &name))
		return false;
	is_address = ip_parse(name, &addr);
	if (target->service.n > 0 && !is_address)
		is_found = find_by_srv(transfer, target, name, ret, &is_settled);
	if (!is_settled)
		is_found = target->is_exact || is_address
				   ? find_host(transfer, ret, name, target->port, 0) == DNS_FOUND
				   : find_by_mx(transfer, target, name, ret);
	if (!is_found)
		return false;
	qsort(ret->list, ret->count, sizeof(ret->list[0]), compare_hosts);
	drop_from_self(transfer, log_clean(target->text), ret);
	balance(ret);
	return ret->count > 0;
}

bool hosts_find(struct transfer *transfer, const struct target *target, struct hosts *ret)
{
	struct why before = transfer->why;
	bool is_found;

	why_init(&transfer->why);
	is_found = find(transfer, target, ret);
	why_done(is_found ? &transfer->why : &before);
	if (is_found)
		transfer->why = before;
	return is_found;
}
