/* SPDX-License-Identifier: MIT */
/*
 * The macros in a pipe service's argv; see pipe.h. The command is run without a shell, so values,
 * which are remote text, become whole arguments or parts of one and nothing else.
 */

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "deliver/delivery.h"
#include "deliver/expand.h"
#include "local/pipe/pipe.h"
#include "mail/addr.h"
#include "mail/addr_ext.h"

struct macros {
	const struct pipe_settings *settings;
	struct delivery *delivery;
	const struct msg_rcpt *rcpt;
	bool has_recipient; /* a macro about the recipient was met */
	bool is_unknown;
};

static struct span lower(struct delivery *delivery, struct span text, bool must_fold)
{
	char *copy;

	if (!must_fold)
		return text;
	copy = arena_str(&delivery->arena, text);
	for (size_t i = 0; i < text.n; i++)
		copy[i] = ascii_lower(copy[i]);
	return (struct span){ copy, text.n };
}

static struct span quoted(struct macros *m, struct span address)
{
	struct buf out = BUF_INIT(8192);
	struct span result;

	if (!m->settings->quotes)
		return address;
	(void)addr_quote(&out, address);
	result = arena_span(&m->delivery->arena, buf_span(&out));
	buf_done(&out);
	return result;
}

/* With the flags h, u and q. */
static struct span whole_address(struct macros *m, struct span address)
{
	struct addr parts = addr_split(address);
	struct span local = lower(m->delivery, parts.local, m->settings->folds_local);
	struct span domain = lower(m->delivery, parts.domain, m->settings->folds_domain);

	if (!parts.has_domain)
		return quoted(m, local);
	return quoted(m, span_of(arena_printf(&m->delivery->arena, "%.*s@%.*s", SPAN_ARG(local),
					      SPAN_ARG(domain))));
}

static bool recipient_value(struct macros *m, struct span name, struct span *ret)
{
	const struct addr_ext_rules rules = { span_of(conf->recipient_delimiter),
					      conf->owner_request_special };
	struct addr parts = addr_split(m->rcpt->address);
	struct span local = lower(m->delivery, parts.local, m->settings->folds_local);
	struct span user = local, extension = { NULL, 0 };

	(void)addr_ext_split(local, &rules, &user, &extension);
	if (span_is(name, "recipient"))
		*ret = whole_address(m, m->rcpt->address);
	else if (span_is(name, "original_recipient"))
		*ret = whole_address(m, m->rcpt->orig_address.n > 0 ? m->rcpt->orig_address
								    : m->rcpt->address);
	else if (span_is(name, "user"))
		*ret = user;
	else if (span_is(name, "extension"))
		*ret = extension;
	else if (span_is(name, "mailbox"))
		*ret = local;
	else if (span_is(name, "domain"))
		*ret = lower(m->delivery, parts.domain, m->settings->folds_domain);
	else
		return false;
	m->has_recipient = m->has_recipient || !span_is(name, "domain");
	return true;
}

static bool macro_value(void *context, struct span name, struct span *ret)
{
	struct macros *m = context;
	struct delivery *d = m->delivery;
	struct span sender = d->request.sender;
	const struct {
		const char *name;
		struct span value;
	} rows[] = {
		{ "nexthop", d->request.nexthop },
		{ "queue_id", d->request.queue_id },
		{ "client_address", d->envelope.log_client_addr },
		{ "client_helo", d->envelope.log_helo },
		{ "client_hostname", d->envelope.log_client_name },
		{ "client_port", d->envelope.log_client_port },
		{ "client_protocol", d->envelope.log_protocol },
		{ "sasl_method", d->envelope.sasl_method },
		{ "sasl_sender", d->envelope.sasl_sender },
		{ "sasl_username", d->envelope.sasl_username },
	};

	if (span_is(name, "sender"))
		*ret = sender.n > 0 ? quoted(m, sender)
		       : *m->settings->null_sender != '\0'
			       ? quoted(m, span_of(m->settings->null_sender))
			       : SPAN("");
	else if (span_is(name, "size"))
		*ret = span_of(arena_printf(&d->arena, "%llu",
					    (unsigned long long)queue_message_size(&d->header)));
	else if (!recipient_value(m, name, ret)) {
		for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
			if (!span_is(name, rows[i].name))
				continue;
			*ret = lower(d, rows[i].value, i == 0 && m->settings->folds_domain);
			return true;
		}
		m->is_unknown = true;
		return false;
	}
	return true;
}

bool pipe_expand(const struct pipe_settings *settings, struct delivery *delivery, struct buf *out)
{
	for (size_t i = 0; settings->argv[i] != NULL; i++) {
		struct macros macros = { .settings = settings, .delivery = delivery };

		for (size_t rcpt = 0; rcpt < delivery->rcpt_count; rcpt++) {
			macros.rcpt = &delivery->rcpts[rcpt];
			if (!expand_text(out, span_of(settings->argv[i]), NULL, macro_value, &macros, NULL) ||
			    macros.is_unknown || !buf_char(out, '\0'))
				return false;
			if (!macros.has_recipient)
				break;
		}
	}
	return true;
}
