/* SPDX-License-Identifier: MIT */
/* RCPT and VRFY: RFC 5321 4.1.1.3, 4.1.1.6, RFC 3461 4.1. */

#include <stdlib.h>

#include "base/log.h"
#include "conf/conf.h"
#include "smtpd/address.h"
#include "smtpd/auth.h"
#include "smtpd/check.h"

static void keep(struct session *s, const struct smtp_rcpt *rcpt)
{
	struct transaction *mail = &s->mail;

	if (mail->rcpt_count == mail->rcpt_room) {
		mail->rcpt_room = mail->rcpt_room > 0 ? mail->rcpt_room * 2 : 8;
		mail->rcpts = mem_resize(mail->rcpts, mail->rcpt_room * sizeof(*mail->rcpts));
	}
	mail->rcpts[mail->rcpt_count++] = (struct recipient){
		.address = arena_span(&s->mail_arena, rcpt->recipient),
		.orcpt = arena_span(&s->mail_arena, rcpt->orcpt),
		.notify = rcpt->notify,
	};
}

/*
 * The first recipient that is accepted makes it a message: it gets its queue id, and the log says
 * where it comes from.
 */
static bool begin_message(struct session *s)
{
	struct buf client = BUF_INIT(4096);

	if (s->mail.was_logged)
		return true;
	if (!submit_begin(s)) {
		s->troubles |= NOTICE_RESOURCE;
		reply_quietly(s, "451 4.3.0 Error: queue file write error");
		return false;
	}
	s->mail.was_logged = true;
	(void)buf_printf(&client, "%s", client_text(s));
	auth_describe(&client, s, ", ");
	log_info("%s: client=%s", s->queue_id, buf_str(&client));
	buf_done(&client);
	return true;
}

/* More than the limit is no error at first: the client may send the rest in another message. */
static bool is_over_limit(struct session *s)
{
	struct transaction *mail = &s->mail;
	size_t limit = (size_t)conf->smtpd_recipient_limit;

	if (limit == 0 || mail->rcpt_count < limit)
		return false;
	if (mail->rcpts_refused == 0) {
		limit_advise_rcpts();
		log_refusal(s, SPAN("452 4.5.3 Error: too many recipients"));
	}
	if (mail->rcpts_refused++ >= (size_t)conf->smtpd_recipient_overshoot_limit)
		reply_logged(s, "452 4.5.3 Error: too many recipients");
	else
		reply_quietly(s, "452 4.5.3 Error: too many recipients");
	return true;
}

void cmd_rcpt(struct session *s, struct span arguments)
{
	struct smtp_cmd_rules rules = { .ext = s->ext,
					.addr_flags = address_flags(s),
					.is_lax = !tables.is_strict };
	struct smtp_rcpt rcpt;
	struct span bad = { 0 };
	enum smtp_cmd_status status;

	if (!s->mail.is_open) {
		reply(s, "503 5.5.1 Error: need MAIL command");
		return;
	}
	if (s->mail.in_bdat) {
		reply(s, "503 5.5.1 Error: RCPT after BDAT");
		return;
	}
	if (limit_is_passed(s, RATE_RECIPIENT)) {
		reply_logged(s, "450 4.7.1 Error: too many recipients from %s", s->peer.addr);
		return;
	}
	if (tables.is_strict)
		rules.addr_flags |= SMTP_ADDR_LIMITS;
	if (s->protocol == NULL)
		rules.ext = SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_DSN;
	status = smtp_rcpt_parse(arguments, &rules, &s->words, &rcpt, &bad);
	if (status == SMTP_CMD_OK && rcpt.recipient.n == 0)
		status = SMTP_CMD_BAD_ADDRESS;
	if (status != SMTP_CMD_OK) {
		reply_parse_error(s, status, "RCPT", bad);
		return;
	}
	if (is_over_limit(s))
		return;
	rcpt.recipient = address_normal(&s->mail_arena, rcpt.recipient);
	if (!check_rcpt(s, rcpt.recipient, "RCPT")) {
		reply(s, "%s", buf_str(&s->reply));
		return;
	}
	if (!begin_message(s))
		return;
	keep(s, &rcpt);
	reply(s, "250 2.1.5 Ok");
}

void cmd_vrfy(struct session *s, struct span arguments)
{
	struct buf address = BUF_INIT(2048);
	unsigned flags = address_flags(s) & ~(unsigned)(SMTP_ADDR_STRICT | SMTP_ADDR_EXACT);
	bool is_utf8 = span_ends_nocase(arguments, SPAN(" SMTPUTF8"));

	if (is_utf8) {
		arguments = span_first(arguments, arguments.n - 9);
		flags = (flags | SMTP_ADDR_UTF8) & ~(unsigned)SMTP_ADDR_ASCII;
	}
	arguments = span_trim(arguments);
	if (conf->disable_vrfy_command)
		reply(s, "502 5.5.1 VRFY command is disabled");
	else if (arguments.n == 0)
		reply(s, "501 5.5.4 Syntax: VRFY address");
	else if (smtp_addr_parse(arguments, flags, &address) != SMTP_ADDR_OK || address.length == 0)
		reply(s, "501 5.1.3 Bad recipient address syntax");
	else if (!check_rcpt(s, buf_span(&address), "VRFY"))
		reply(s, "%s", buf_str(&s->reply));
	else
		reply(s, "252 2.0.0 %s", log_clean(buf_span(&address)));
	buf_done(&address);
}
