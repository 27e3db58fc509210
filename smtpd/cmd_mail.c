/* SPDX-License-Identifier: MIT */
/* MAIL, and the end of a transaction: RFC 5321 4.1.1.2, RFC 1870, 3461, 6152, 6531, 8689. */

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/idna.h"
#include "mail/smtp_cmd.h"
#include "mail/xtext.h"
#include "smtpd/address.h"
#include "smtpd/check.h"
#include "smtpd/space.h"
#include "smtpd/tls.h"

enum {
	ENVID_MAX = 128, /* of the envelope; RFC 3461 4.4 has 100 */
	ADDRESS_MAX = 2048,
};

unsigned address_flags(const struct session *s)
{
	unsigned flags = 0;

	if (conf->strict_rfc821_envelopes || tables.is_strict)
		flags |= SMTP_ADDR_STRICT;
	if (tables.is_strict)
		flags |= SMTP_ADDR_EXACT;
	if (s->mail.is_open && s->mail.mail.is_smtputf8)
		flags |= SMTP_ADDR_UTF8;
	else if (conf->strict_smtputf8 || tables.is_strict)
		flags |= SMTP_ADDR_ASCII;
	if (conf->allow_min_user)
		flags |= SMTP_ADDR_MIN_USER;
	if (conf->resolve_numeric_domain)
		flags |= SMTP_ADDR_NUMERIC;
	return flags;
}

unsigned verp_ext(struct session *s)
{
	bool is_authorized = !match_is_empty(tables.verp_clients) &&
			     match_client(tables.verp_clients, &s->lookup, span_of(s->peer.name),
					  span_of(s->peer.addr)) == MATCH_YES;

	return is_authorized ? SMTP_EXT_XVERP : 0;
}

struct span address_normal(struct arena *arena, struct span address)
{
	struct span domain = addr_split(address).domain;
	struct buf out = BUF_INIT(ADDRESS_MAX);

	if (!utf8_has_8bit(domain))
		return address;
	if (buf_add(&out, span_first(address, address.n - domain.n)) &&
	    idna_to_utf8(&out, domain, false))
		address = arena_span(arena, buf_span(&out));
	buf_done(&out);
	return address;
}

void reply_parse_error(struct session *s, enum smtp_cmd_status status, const char *verb,
		       struct span bad)
{
	bool is_mail = *verb == 'M';

	switch (status) {
	case SMTP_CMD_OK: break;
	case SMTP_CMD_SYNTAX:
		reply(s, "501 5.5.4 Syntax: %s", is_mail ? "MAIL FROM:<address>" : "RCPT TO:<address>");
		break;
	case SMTP_CMD_BAD_ADDRESS:
		reply(s, "501 %s Bad %s address syntax", is_mail ? "5.1.7" : "5.1.3",
		      is_mail ? "sender" : "recipient");
		break;
	case SMTP_CMD_NEEDS_UTF8: reply(s, "553 5.6.7 Must declare SMTPUTF8 to send unicode address");
		break;
	case SMTP_CMD_UNKNOWN:
		reply(s, "555 5.5.4 Unsupported option: %s", log_clean(bad));
		break;
	case SMTP_CMD_TOO_MANY: reply(s, "555 5.5.4 Too many parameters"); break;
	case SMTP_CMD_BAD_VALUE:
		reply(s, "501 5.5.4 Bad %s parameter", log_clean(bad));
		break;
	case SMTP_CMD_TOO_BIG: reply(s, "552 5.3.4 Message size exceeds fixed limit"); break;
	}
}

/* Copies what must outlive the command line. */
static void keep(struct session *s, const struct smtp_mail *mail)
{
	struct arena *arena = &s->mail_arena;
	struct buf envid = BUF_INIT(ENVID_MAX);

	s->mail.mail = *mail;
	s->mail.mail.sender = address_normal(arena, arena_span(arena, mail->sender));
	/* The parser has checked it: only one that is too long is lost. */
	if (!xtext_decode(&envid, mail->envid))
		buf_reset(&envid);
	s->mail.mail.envid = arena_span(arena, buf_span(&envid));
	buf_done(&envid);
	s->mail.mail.auth = arena_span(arena, mail->auth);
	s->mail.mail.xverp = arena_span(arena, mail->xverp.n > 0
						       ? mail->xverp
						       : span_of(conf->default_verp_delimiters));
}

void cmd_mail(struct session *s, struct span arguments)
{
	struct smtp_cmd_rules rules = { .ext = s->ext,
					.addr_flags = address_flags(s),
					.verp_delimiters = span_of(conf->verp_delimiter_filter),
					.is_lax = !tables.is_strict };
	struct smtp_mail mail;
	struct span bad = { 0 };
	enum smtp_cmd_status status;

	if (conf->smtpd_helo_required && s->protocol == NULL) {
		reply(s, "503 5.5.1 Error: send HELO/EHLO first");
		return;
	}
	if (s->mail.is_open) {
		reply(s, "503 5.5.1 Error: nested MAIL command");
		return;
	}
	if (limit_is_passed(s, RATE_MESSAGE)) {
		reply_logged(s, "450 4.7.1 Error: too much mail from %s", s->peer.addr);
		return;
	}
	if (s->protocol == NULL)
		rules.ext = SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_DSN | verp_ext(s);
	/* In clear text it is known, to be answered by what the client has to do first. */
	if (conf->requiretls_enable && session_offers_tls(s) && !s->is_tls_hidden)
		rules.ext |= SMTP_EXT_REQUIRETLS;
	status = smtp_mail_parse(arguments, &rules, &s->words, &mail, &bad);
	if (status != SMTP_CMD_OK) {
		reply_parse_error(s, status, "MAIL", bad);
		return;
	}
	if (mail.is_requiretls && s->tls == NULL) {
		reply(s, "530 5.7.10 Must issue a STARTTLS command before REQUIRETLS");
		return;
	}
	if (mail.has_xverp && mail.sender.n == 0) {
		reply(s, "503 5.5.4 Error: XVERP requires non-null sender");
		return;
	}
	if (mail.has_size && conf->message_size_limit > 0 &&
	    mail.size_bytes > (uint64_t)conf->message_size_limit) {
		reply(s, "552 5.3.4 Message size exceeds fixed limit");
		return;
	}
	if (!space_is_enough(mail.size_bytes)) {
		limit_advise_space();
		s->troubles |= NOTICE_RESOURCE;
		log_refusal(s, SPAN("452 4.3.1 Insufficient system storage"));
		reply_quietly(s, "452 4.3.1 Insufficient system storage");
		return;
	}
	if (*conf->smtpd_proxy_filter != '\0') {
		log_warn("connect to proxy filter %s: not in this version: see smtpd_proxy_filter in smtpd(8)",
			 conf->smtpd_proxy_filter);
		reply(s, "451 4.3.0 Error: mail cannot be filtered now");
		return;
	}
	session_reset_mail(s);
	keep(s, &mail);
	s->mail.is_open = true;
	if (!check_mail(s)) {
		reply(s, "%s", buf_str(&s->reply));
		session_reset_mail(s);
		return;
	}
	reply(s, "250 2.1.0 Ok");
}

void session_reset_mail(struct session *s)
{
	struct transaction *mail = &s->mail;

	submit_abandon(s);
	free(mail->rcpts);
	free(mail->actions.bcc);
	buf_done(&mail->actions.content_filter);
	buf_done(&mail->actions.redirect_to);
	buf_done(&mail->actions.prepended);
	buf_done(&mail->failure);
	*mail = (struct transaction){ 0 };
	s->transactions++;
	buf_init(&mail->actions.content_filter, 1024);
	buf_init(&mail->actions.redirect_to, 1024);
	buf_init(&mail->actions.prepended, 65536);
	buf_init(&mail->failure, 2048);
	arena_reset(&s->mail_arena);
	lookup_reset(&s->lookup);
}
