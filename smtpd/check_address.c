/* SPDX-License-Identifier: MIT */
/* Restrictions on sender and recipient addresses, and relay control. postconf(5). */

#include <string.h>

#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/domain.h"
#include "smtpd/check.h"
#include "smtpd/names.h"

/* ---- access tables ---- */

static enum verdict address_access(struct check *check, const struct restriction *restriction,
				   struct span address, enum subject subject)
{
	struct session *s = check->session;
	bool is_parent = strstr(conf->parent_domain_matches_subdomains, "smtpd_access_maps") != NULL;
	unsigned keys = MAPS_KEYS_ACCESS | (is_parent ? (unsigned)MAPS_PARENTS
						      : (unsigned)MAPS_DOT_PARENTS);
	struct span value, extension;
	enum table_status status = maps_find_address(restriction->maps, &s->lookup,
						     &tables.site.rules, address, keys, &value,
						     &extension);

	if (status == TABLE_ERROR)
		return check_local_fault(check, maps_error(restriction->maps));
	if (status != TABLE_FOUND)
		return CHECK_DUNNO;
	return access_action(check, subject, value, maps_origin(restriction->maps));
}

enum verdict check_sender_access(struct check *check, const struct restriction *restriction)
{
	struct session *s = check->session;
	struct span value;
	enum table_status status;

	if (!s->mail.is_open)
		return CHECK_DUNNO;
	if (s->mail.mail.sender.n > 0)
		return address_access(check, restriction, s->mail.mail.sender, SUBJECT_SENDER);
	status = maps_find(restriction->maps, &s->lookup,
			   span_of(conf->smtpd_null_access_lookup_key), false, &value);
	if (status == TABLE_ERROR)
		return check_local_fault(check, maps_error(restriction->maps));
	if (status != TABLE_FOUND)
		return CHECK_DUNNO;
	return access_action(check, SUBJECT_SENDER, value, maps_origin(restriction->maps));
}

enum verdict check_rcpt_access(struct check *check, const struct restriction *restriction)
{
	struct span rcpt = check_rcpt_of(check);

	if (rcpt.n == 0)
		return CHECK_DUNNO;
	return address_access(check, restriction, rcpt, SUBJECT_RCPT);
}

/* ---- syntax ---- */

static bool is_fqdn(struct span address)
{
	struct addr parts = addr_split(address);

	if (!parts.has_domain || parts.domain.n == 0)
		return false;
	if (parts.domain.p[0] == '[')
		return domain_check_literal(parts.domain, NULL) == DOMAIN_OK;
	return span_has(parts.domain, '.') && domain_check_name(parts.domain, true) == DOMAIN_OK;
}

enum verdict reject_non_fqdn_sender(struct check *check, const struct restriction *restriction)
{
	const struct transaction *mail = &check->session->mail;

	(void)restriction;
	if (!mail->is_open || mail->mail.sender.n == 0 || is_fqdn(mail->mail.sender))
		return CHECK_DUNNO;
	return check_reject(check, SUBJECT_SENDER, conf->non_fqdn_reject_code, "5.5.2",
			    "need fully-qualified address");
}

enum verdict reject_non_fqdn_rcpt(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	if (check->rcpt.n == 0 || is_fqdn(check->rcpt))
		return CHECK_DUNNO;
	return check_reject(check, SUBJECT_RCPT, conf->non_fqdn_reject_code, "5.5.2",
			    "need fully-qualified address");
}

/* ---- domains that cannot receive mail ---- */

static enum verdict unknown_domain(struct check *check, struct span address, enum subject subject)
{
	struct addr parts = addr_split(address);
	bool is_sender = subject == SUBJECT_SENDER;

	if (!parts.has_domain || parts.domain.n == 0 || parts.domain.p[0] == '[')
		return CHECK_DUNNO;
	if (site_is_local(&tables.site, &check->session->lookup, parts.domain) == TABLE_FOUND)
		return CHECK_DUNNO;
	switch (name_can_receive(parts.domain)) {
	case NAME_RECEIVES: return CHECK_DUNNO;
	case NAME_NULL_MX:
		return check_reject(check, subject, is_sender ? 550 : 556,
				    is_sender ? "5.7.27" : "5.1.10",
				    "Domain of %s does not accept mail (nullMX)",
				    is_sender ? "sender address" : "recipient address");
	case NAME_TEMPORARY:
		return check_tempfail(check, conf->unknown_address_tempfail_action, subject, 450,
				      is_sender ? "4.1.8" : "4.1.2", "Domain not found");
	case NAME_UNKNOWN:
		return check_reject(check, subject, conf->unknown_address_reject_code,
				    is_sender ? "4.1.8" : "4.1.2", "Domain not found");
	}
	return CHECK_DUNNO;
}

enum verdict reject_unknown_sender_domain(struct check *check, const struct restriction *restriction)
{
	const struct transaction *mail = &check->session->mail;

	(void)restriction;
	if (!mail->is_open || mail->mail.sender.n == 0)
		return CHECK_DUNNO;
	return unknown_domain(check, mail->mail.sender, SUBJECT_SENDER);
}

enum verdict reject_unknown_rcpt_domain(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	if (check->rcpt.n == 0)
		return CHECK_DUNNO;
	return unknown_domain(check, check->rcpt, SUBJECT_RCPT);
}

/* ---- who exists ---- */

enum verdict reject_unlisted_sender(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	if (!check->session->mail.is_open)
		return CHECK_DUNNO;
	return check_listed(check, check->session->mail.mail.sender, SUBJECT_SENDER);
}

enum verdict reject_unlisted_rcpt(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	if (check->rcpt.n == 0)
		return CHECK_DUNNO;
	return check_listed(check, check->rcpt, SUBJECT_RCPT);
}

/* ---- relay control ---- */

enum destination { DESTINATION_OURS, DESTINATION_ELSEWHERE, DESTINATION_ROUTED,
		   DESTINATION_UNKNOWN };

/* Whether we are where mail for the recipient should go: permit_auth_destination. */
static enum destination destination_of(struct check *check)
{
	if (check_resolve(check) == ROUTE_ERROR)
		return DESTINATION_UNKNOWN;
	if (check->route.is_routed && !conf->allow_untrusted_routing)
		return DESTINATION_ROUTED;
	return check->route.class == ROUTE_CLASS_DEFAULT ? DESTINATION_ELSEWHERE : DESTINATION_OURS;
}

static enum verdict refuse_relay(struct check *check, int code, const char *status)
{
	if (check->rcpt.n == 0)
		return CHECK_DUNNO;
	switch (destination_of(check)) {
	case DESTINATION_OURS: return CHECK_DUNNO;
	case DESTINATION_UNKNOWN: return check_local_fault(check, buf_str(&check->route.warning));
	case DESTINATION_ROUTED:
	case DESTINATION_ELSEWHERE: break;
	}
	return check_reject_plain(check, code, status, "%s: Relay access denied",
				  subject_text(check, SUBJECT_RCPT));
}

enum verdict reject_unauth_destination(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	return refuse_relay(check, conf->relay_domains_reject_code, "5.7.1");
}

enum verdict defer_unauth_destination(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	return refuse_relay(check, 454, "4.7.1");
}

enum verdict permit_auth_destination(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	return check->rcpt.n > 0 && destination_of(check) == DESTINATION_OURS ? CHECK_PERMIT
									      : CHECK_DUNNO;
}
