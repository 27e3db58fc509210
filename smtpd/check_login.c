/* SPDX-License-Identifier: MIT */
/*
 * Restrictions on who has logged in, and on which senders a login may use: postconf(5)
 * permit_sasl_authenticated, check_sasl_access, smtpd_sender_login_maps.
 */

#include "base/log.h"
#include "conf/conf.h"
#include "smtpd/auth.h"
#include "smtpd/check.h"
#include "smtpd/owner.h"

enum verdict permit_sasl_authenticated(struct check *check, const struct restriction *restriction)
{
	(void)restriction;
	return auth_user(check->session).n > 0 ? CHECK_PERMIT : CHECK_DUNNO;
}

enum verdict check_sasl_access(struct check *check, const struct restriction *restriction)
{
	struct session *s = check->session;
	struct maps *maps = restriction->maps;
	struct span value;

	if (auth_user(s).n == 0)
		return CHECK_DUNNO;
	switch (maps_find(maps, &s->lookup, auth_user(s), false, &value)) {
	case TABLE_FOUND: return access_action(check, SUBJECT_LOGIN, value, maps_origin(maps));
	case TABLE_ERROR: return check_local_fault(check, maps_error(maps));
	case TABLE_NOT_FOUND:
	case TABLE_PENDING: break;
	}
	return CHECK_DUNNO;
}

/* ---- sender addresses ---- */

/* Whose the envelope sender is. */
static enum owner find_owner(struct session *s)
{
	return owner_find(s, s->mail.mail.sender, MAPS_KEYS_REWRITE);
}

/*
 * Where nobody can log in, a login says nothing about a sender: main.cf may have the restriction for the
 * services with smtpd_sasl_auth_enable, and others, as on port 25, do without.
 */
static bool applies(const struct restriction *restriction)
{
	static bool has_warned;

	if (auth_backend == NULL && !has_warned)
		log_warn("restriction `%s' ignored: no SASL support", restriction->row->name);
	has_warned |= auth_backend == NULL;
	return auth_backend != NULL;
}

/* A client that has logged in; an address of nobody's is refused as well, unless told otherwise. */
static enum verdict check_inside(struct check *check, bool is_known_only)
{
	struct session *s = check->session;

	if (!s->mail.is_open || s->mail.mail.sender.n == 0 || auth_user(s).n == 0)
		return CHECK_DUNNO;
	switch (find_owner(s)) {
	case OWNER_SELF: return CHECK_DUNNO;
	case OWNER_ERROR: return check_local_fault(check, maps_error(tables.sender_login));
	case OWNER_NONE:
		if (is_known_only)
			return CHECK_DUNNO;
		break;
	case OWNER_OTHER: break;
	}
	return check_reject(check, SUBJECT_SENDER, 553, "5.7.1", "not owned by user %.*s",
			    SPAN_ARG(auth_user(s)));
}

/* A client that has not. */
static enum verdict check_outside(struct check *check)
{
	struct session *s = check->session;

	if (!s->mail.is_open || s->mail.mail.sender.n == 0 || auth_user(s).n > 0)
		return CHECK_DUNNO;
	switch (find_owner(s)) {
	case OWNER_NONE: return CHECK_DUNNO;
	case OWNER_ERROR: return check_local_fault(check, maps_error(tables.sender_login));
	case OWNER_SELF:
	case OWNER_OTHER: break;
	}
	return check_reject(check, SUBJECT_SENDER, 553, "5.7.1", "not logged in");
}

enum verdict reject_login_mismatch(struct check *check, const struct restriction *restriction)
{
	if (!applies(restriction))
		return CHECK_DUNNO;
	return auth_user(check->session).n > 0 ? check_inside(check, false) : check_outside(check);
}

enum verdict reject_login_mismatch_known(struct check *check,
					 const struct restriction *restriction)
{
	if (!applies(restriction))
		return CHECK_DUNNO;
	return auth_user(check->session).n > 0 ? check_inside(check, true) : check_outside(check);
}

enum verdict reject_login_mismatch_in(struct check *check, const struct restriction *restriction)
{
	return applies(restriction) ? check_inside(check, false) : CHECK_DUNNO;
}

enum verdict reject_login_mismatch_out(struct check *check, const struct restriction *restriction)
{
	return applies(restriction) ? check_outside(check) : CHECK_DUNNO;
}
