/* SPDX-License-Identifier: MIT */
/*
 * Restrictions on TLS and the client's certificate. A fingerprint in a table is trusted for itself,
 * whoever issued the certificate. postconf(5) permit_tls_clientcerts, check_ccert_access.
 */

#include "conf/conf.h"
#include "smtpd/check.h"
#include "smtpd/tls.h"

/* Looks for the fingerprint of the client's certificate, then of its key. */
static enum table_status find_certificate(struct check *check, struct maps *maps,
					  struct span *ret_value)
{
	struct session *s = check->session;
	const struct tls_info *info = s->tls != NULL ? tls_info(s->tls) : NULL;
	enum table_status status;

	if (info == NULL || !info->has_peer)
		return TABLE_NOT_FOUND;
	status = maps_find(maps, &s->lookup, span_of(info->fingerprint), false, ret_value);
	if (status == TABLE_NOT_FOUND)
		status = maps_find(maps, &s->lookup, span_of(info->key_fingerprint), false,
				   ret_value);
	return status;
}

enum verdict permit_tls_clientcerts(struct check *check, const struct restriction *restriction)
{
	struct span value;
	enum table_status status = find_certificate(check, tables.relay_clientcerts, &value);

	(void)restriction;
	if (status == TABLE_ERROR)
		return check_local_fault(check, maps_error(tables.relay_clientcerts));
	return status == TABLE_FOUND ? CHECK_PERMIT : CHECK_DUNNO;
}

enum verdict permit_tls_all_clientcerts(struct check *check, const struct restriction *restriction)
{
	const struct session *s = check->session;

	(void)restriction;
	return s->tls != NULL && tls_info(s->tls)->is_trusted ? CHECK_PERMIT : CHECK_DUNNO;
}

enum verdict check_ccert_access(struct check *check, const struct restriction *restriction)
{
	struct span value;
	enum table_status status = find_certificate(check, restriction->maps, &value);

	if (status == TABLE_ERROR)
		return check_local_fault(check, maps_error(restriction->maps));
	if (status != TABLE_FOUND)
		return CHECK_DUNNO;
	return access_action(check, SUBJECT_CLIENT, value, maps_origin(restriction->maps));
}

enum verdict reject_plaintext_session(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	if (check->session->tls != NULL)
		return CHECK_DUNNO;
	return check_reject_plain(check, conf->plaintext_reject_code, "4.7.1",
				  "Session encryption is required");
}
