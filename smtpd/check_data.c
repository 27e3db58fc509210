/* SPDX-License-Identifier: MIT */
/* Restrictions on how a client behaves, and on ETRN. postconf(5). */

#include "conf/conf.h"
#include "smtpd/check.h"

enum verdict reject_multi_recipient_bounce(struct check *check,
					   const struct restriction *restriction)
{
	const struct transaction *mail = &check->session->mail;
	/* At RCPT this one is not counted yet. */
	size_t count = mail->rcpt_count + (check->rcpt.n > 0 ? 1 : 0);

	(void)restriction;
	if (!mail->is_open || mail->mail.sender.n > 0 || count < 2)
		return CHECK_DUNNO;
	return check_reject(check, check->rcpt.n > 0 ? SUBJECT_RCPT : SUBJECT_DATA,
			    conf->multi_recipient_bounce_reject_code, "5.5.3",
			    "Multi-recipient bounce");
}

/* Input beyond the present command from a client that was not told that it may pipeline. */
enum verdict reject_unauth_pipelining(struct check *check, const struct restriction *restriction)
{
	struct session *s = check->session;
	bool may = s->is_esmtp && s->may_pipeline && check->stage != STAGE_DATA;

	(void)restriction;
	if (may || check->stage == STAGE_END_OF_DATA || !stream_has_input(&s->stream))
		return CHECK_DUNNO;
	return check_reject_plain(check, 503, "5.5.0", "<%s>: %s rejected: Improper use of SMTP command pipelining",
				  check->verb, check->stage == STAGE_DATA ? "Data command" : "Command");
}

enum verdict check_etrn_access(struct check *check, const struct restriction *restriction)
{
	struct span value;
	enum table_status status;

	if (check->etrn_domain.n == 0)
		return CHECK_DUNNO;
	status = maps_find_domain(restriction->maps, &check->session->lookup, check->etrn_domain,
				  false, &value);
	if (status == TABLE_ERROR)
		return check_local_fault(check, maps_error(restriction->maps));
	if (status != TABLE_FOUND)
		return CHECK_DUNNO;
	return access_action(check, SUBJECT_ETRN, value, maps_origin(restriction->maps));
}
