/* SPDX-License-Identifier: MIT */
/* Restrictions on the name that the client says in HELO and EHLO. postconf(5). */

#include <string.h>

#include "conf/conf.h"
#include "mail/domain.h"
#include "net/dns.h"
#include "smtpd/check.h"
#include "smtpd/names.h"

enum verdict check_helo_access(struct check *check, const struct restriction *restriction)
{
	struct session *s = check->session;
	struct span value;
	enum table_status status;

	if (s->helo.length == 0)
		return CHECK_DUNNO;
	status = maps_find_domain(restriction->maps, &s->lookup, buf_span(&s->helo),
				  strstr(conf->parent_domain_matches_subdomains,
					 "smtpd_access_maps") == NULL,
				  &value);
	if (status == TABLE_ERROR)
		return check_local_fault(check, maps_error(restriction->maps));
	if (status != TABLE_FOUND)
		return CHECK_DUNNO;
	return access_action(check, SUBJECT_HELO, value, maps_origin(restriction->maps));
}

static bool is_literal(struct span name)
{
	return name.n > 0 && name.p[0] == '[';
}

enum verdict reject_invalid_helo(struct check *check, const struct restriction *restriction)
{
	struct span name = buf_span(&check->session->helo);

	(void)restriction;
	if (name.n == 0 || domain_check(name, false) == DOMAIN_OK)
		return CHECK_DUNNO;
	return check_reject(check, SUBJECT_HELO, conf->invalid_hostname_reject_code, "5.5.2",
			    is_literal(name) ? "invalid ip address" : "Invalid name");
}

enum verdict reject_non_fqdn_helo(struct check *check, const struct restriction *restriction)
{
	struct span name = buf_span(&check->session->helo);

	(void)restriction;
	if (name.n == 0)
		return CHECK_DUNNO;
	if (is_literal(name) && domain_check(name, false) == DOMAIN_OK)
		return CHECK_DUNNO;
	if (!is_literal(name) && domain_check_name(name, false) == DOMAIN_OK && span_has(name, '.'))
		return CHECK_DUNNO;
	return check_reject(check, SUBJECT_HELO, conf->non_fqdn_reject_code, "5.5.2",
			    "need fully-qualified hostname");
}

enum verdict reject_unknown_helo(struct check *check, const struct restriction *restriction)
{
	struct span name = buf_span(&check->session->helo);

	(void)restriction;
	if (name.n == 0 || is_literal(name))
		return CHECK_DUNNO;
	switch (name_can_receive(name)) {
	case NAME_RECEIVES: return CHECK_DUNNO;
	case NAME_TEMPORARY:
		return check_tempfail(check, conf->unknown_helo_hostname_tempfail_action,
				      SUBJECT_HELO, 450, "4.7.1", "Host not found");
	case NAME_NULL_MX:
	case NAME_UNKNOWN:
		return check_reject(check, SUBJECT_HELO, conf->unknown_hostname_reject_code, "4.7.1",
				    "Host not found");
	}
	return CHECK_DUNNO;
}
