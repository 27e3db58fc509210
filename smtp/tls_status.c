/* SPDX-License-Identifier: MIT */
/*
 * What the line of each recipient says of TLS: postconf(5) smtp_log_tls_feature_status, smtp(8). The
 * form is Postfix's: the level that was wanted, and "requiretls" for a message that has REQUIRETLS, with
 * "/" between them; "!" in front of what was not reached, so that nothing was sent, ":NAME" behind
 * what came to something else, "?" behind what was never found out.
 */

#include "tls.h"

#include <string.h>

#include "conf/conf.h"

void tls_status_begin(struct session *session, const struct policy *policy)
{
	session->tls_wanted = policy_level_name(policy->wanted);
	session->tls_reached = NULL;
	session->is_tls_missed = false;
}

void tls_status_reach(struct session *session, enum level level)
{
	session->tls_reached = policy_level_name(level);
}

void tls_status_miss(struct session *session, enum level level)
{
	session->tls_reached = policy_level_name(level);
	session->is_tls_missed = true;
}

static void add_feature(struct buf *out, const char *wanted, const char *reached, bool is_missed)
{
	(void)buf_printf(out, "%s%s", is_missed ? "!" : "", wanted);
	if (reached == NULL)
		(void)buf_char(out, '?');
	else if (strcmp(wanted, reached) != 0)
		(void)buf_printf(out, ":%s", reached);
}

/* RFC 8689 6: the status that we give, or the server, to a message that it does not get for this. */
static bool is_requiretls_missed(const struct transfer *transfer, const char *status)
{
	return transfer->requiretls > REQUIRETLS_NONE && strcmp(status + 1, ".7.30") == 0;
}

void tls_status_describe(const struct transfer *transfer, const struct session *session,
			 const char *status, struct buf *out)
{
	bool is_missed = is_requiretls_missed(transfer, status);

	if (!conf->smtp_log_tls_feature_status || session->tls_wanted == NULL)
		return;
	add_feature(out, session->tls_wanted, session->tls_reached, session->is_tls_missed);
	if (transfer->requiretls == REQUIRETLS_NONE)
		return;
	(void)buf_char(out, '/');
	add_feature(out, "requiretls",
		    is_missed || requiretls_is_said(session, transfer) ? "requiretls"
		    : session->tls_reached == NULL                     ? NULL
								       : "none",
		    is_missed);
}
