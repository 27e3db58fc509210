/* SPDX-License-Identifier: MIT */
/* What is offered to whom: postconf(5) smtpd_sasl_*; see auth.h. */

#include "smtpd/auth.h"

#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "smtpd/session.h"
#include "smtpd/tls.h"

const struct auth_backend *auth_backend;

static struct {
	struct sasl_options plain, secured; /* without and with TLS */
	struct match_list *exceptions, *filter;
} self;

static void parse_options(const char *parameter, const char *text, struct sasl_options *ret)
{
	struct span unknown;

	if (!sasl_options_parse(span_of(text), ret, &unknown))
		fatal("%s: unknown option: %.*s", parameter, SPAN_ARG(unknown));
}

static struct match_list *open_list(const char *parameter, const char *text, enum match_kind kind)
{
	struct buf error = BUF_INIT(1000);
	struct match_list *list =
		match_open(parameter, span_of(text), kind, TABLE_FOLD | TABLE_IN_JAIL, &error);

	if (list == NULL)
		fatal("%s: %s", parameter, buf_str(&error));
	return list;
}

void auth_prepare(void)
{
	static const struct auth_backend *const backends[] = { &auth_dovecot, &auth_passwd,
							&auth_cyrus };

	if (!conf->smtpd_sasl_auth_enable)
		return;
	for (size_t i = 0; i < ARRAY_LEN(backends); i++)
		if (strcmp(conf->smtpd_sasl_type, backends[i]->type) == 0)
			auth_backend = backends[i];
	if (auth_backend == NULL)
		fatal("smtpd_sasl_type = %s: expected cyrus, dovecot or passwd", conf->smtpd_sasl_type);
	parse_options("smtpd_sasl_security_options", conf->smtpd_sasl_security_options, &self.plain);
	parse_options("smtpd_sasl_tls_security_options", conf->smtpd_sasl_tls_security_options,
		      &self.secured);
	self.exceptions = open_list("smtpd_sasl_exceptions_networks",
				    conf->smtpd_sasl_exceptions_networks, MATCH_CLIENT);
	self.filter = open_list("smtpd_sasl_mechanism_filter", conf->smtpd_sasl_mechanism_filter,
				MATCH_STRING);
	if (auth_backend->prepare != NULL)
		auth_backend->prepare();
}

bool auth_is_enabled(struct session *s)
{
	return auth_backend != NULL &&
	       match_client(self.exceptions, &s->lookup, span_of(s->peer.name),
			    span_of(s->peer.addr)) != MATCH_YES;
}

static bool is_wanted(struct session *s, const struct sasl_mechanism *mechanism)
{
	enum match_result result =
		match_name(self.filter, &s->lookup, span_of(mechanism->name));

	if (result == MATCH_ERROR)
		log_warn("smtpd_sasl_mechanism_filter: %s", match_error(self.filter));
	return result == MATCH_YES;
}

bool auth_offer(struct session *s, struct sasl_mechanisms *ret)
{
	const struct sasl_options *options = s->tls != NULL ? &self.secured : &self.plain;
	struct sasl_mechanisms all = { .count = 0 };

	*ret = (struct sasl_mechanisms){ .count = 0 };
	if (!auth_backend->mechanisms(&all))
		return false;
	for (size_t i = 0; i < all.count; i++)
		if (sasl_is_allowed(options, &all.list[i]) && is_wanted(s, &all.list[i]))
			ret->list[ret->count++] = all.list[i];
	if (ret->count == 0)
		log_warn("%s: no SASL mechanism is left: see smtpd_sasl_security_options and "
			 "smtpd_sasl_mechanism_filter", client_text(s));
	return ret->count > 0;
}

struct span auth_user(const struct session *s)
{
	return buf_span(&s->login);
}

void auth_describe(struct buf *out, const struct session *s, const char *separator)
{
	if (s->login.length == 0)
		return;
	(void)buf_printf(out, "%ssasl_method=%s%ssasl_username=%s", separator, s->login_method,
			 separator, log_clean(auth_user(s)));
	if (s->mail.mail.auth.n > 0)
		(void)buf_printf(out, "%ssasl_sender=%s", separator, log_clean(s->mail.mail.auth));
}
