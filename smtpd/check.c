/* SPDX-License-Identifier: MIT */
/*
 * When which restrictions are asked, how a refusal is worded and logged, and what becomes of
 * deferrals. Postfix: SMTPD_ACCESS_README, postconf(5) smtpd_delay_reject.
 */

#include "smtpd/check.h"
#include "smtpd/auth.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/log_address.h"

static const char *const subject_words[] = {
	[SUBJECT_CLIENT] = "Client host",       [SUBJECT_HELO] = "Helo command",
	[SUBJECT_SENDER] = "Sender address",    [SUBJECT_RCPT] = "Recipient address",
	[SUBJECT_DATA] = "Data command",        [SUBJECT_END_OF_DATA] = "End-of-data",
	[SUBJECT_ETRN] = "Etrn command",
	[SUBJECT_LOGIN] = "SASL login name",
};

const char *subject_word(enum subject subject)
{
	return subject_words[subject];
}

struct span check_rcpt_of(const struct check *check)
{
	const struct transaction *mail = &check->session->mail;

	if (check->rcpt.n == 0 && check->is_data && mail->rcpt_count == 1)
		return mail->rcpts[0].address;
	return check->rcpt;
}

const char *subject_text(const struct check *check, enum subject subject)
{
	static char text[1200];
	const struct session *s = check->session;

	switch (subject) {
	case SUBJECT_CLIENT:
		(void)snprintf(text, sizeof(text), "<%s>", client_text(s));
		break;
	case SUBJECT_HELO:
		(void)snprintf(text, sizeof(text), "<%s>", buf_str(&s->helo));
		break;
	case SUBJECT_SENDER:
		(void)snprintf(text, sizeof(text), "<%.*s>", SPAN_ARG(s->mail.mail.sender));
		break;
	case SUBJECT_RCPT:
		(void)snprintf(text, sizeof(text), "<%.*s>", SPAN_ARG(check_rcpt_of(check)));
		break;
	case SUBJECT_DATA: (void)snprintf(text, sizeof(text), "<DATA>"); break;
	case SUBJECT_END_OF_DATA: (void)snprintf(text, sizeof(text), "<END-OF-MESSAGE>"); break;
	case SUBJECT_LOGIN:
		(void)snprintf(text, sizeof(text), "<%.*s>", SPAN_ARG(auth_user(s)));
		break;
	case SUBJECT_ETRN:
		(void)snprintf(text, sizeof(text), "<%.*s>", SPAN_ARG(check->etrn_domain));
		break;
	}
	return text;
}

/* ---- wording and logging ---- */

/* from=, to=, proto=, helo=: as far as they are known. */
static void add_context(const struct check *check, struct buf *out)
{
	const struct session *s = check->session;
	const struct transaction *mail = &s->mail;
	struct span rcpt = check_rcpt_of(check);

	if (mail->is_open)
		(void)buf_printf(out, " from=<%s>", log_address(mail->mail.sender));
	if (rcpt.n > 0)
		(void)buf_printf(out, " to=<%s>", log_address(rcpt));
	if (s->protocol != NULL)
		(void)buf_printf(out, " proto=%s", s->protocol);
	if (s->helo.length > 0)
		(void)buf_printf(out, " helo=<%s>", log_clean(buf_span(&s->helo)));
	auth_describe(out, s, " ");
}

void check_log(const struct check *check, const char *action, const char *text)
{
	const struct session *s = check->session;
	struct buf context = BUF_INIT(8192);

	add_context(check, &context);
	log_info("%s: %s: %s from %s: %s;%s", s->mail.was_logged ? s->queue_id : "NOQUEUE", action,
		 check->verb, client_text(s), log_clean_str(text), buf_str(&context));
	buf_done(&context);
}

void check_log_permit(const struct check *check, enum subject subject, const char *action,
		      const char *table)
{
	struct span what = span_of(subject_text(check, subject));
	struct buf text = BUF_INIT(4096);

	if (tables.logged_permits == NULL ||
	    match_name(tables.logged_permits, &check->session->lookup, span_of(action)) != MATCH_YES)
		return;
	what = span_first(span_from(what, 1), what.n - 2);
	(void)buf_printf(&text, "action=%s for %s=%.*s %s%s", action, subject_words[subject],
			 SPAN_ARG(what), table != NULL ? "from " : "", table != NULL ? table : "");
	check_log(check, "permit", buf_str(&text));
	buf_done(&text);
}

/* Makes "5xx 5.x.x ..." temporary under soft_bounce. */
static void soften(struct buf *text)
{
	if (!conf->soft_bounce || text->length < 5 || text->data[0] != '5')
		return;
	text->data[0] = '4';
	if (text->data[4] == '5')
		text->data[4] = '4';
}

static enum verdict refuse(struct check *check, struct buf *text)
{
	soften(text);
	if (check->warn_if_reject) {
		check_log(check, "reject_warning", buf_str(text));
		return CHECK_DUNNO;
	}
	check_log(check, "reject", buf_str(text));
	check->session->troubles |= NOTICE_POLICY;
	(void)buf_set(&check->session->reply, buf_span(text));
	return CHECK_REJECT;
}

enum verdict check_reject(struct check *check, enum subject subject, int code, const char *status,
			  const char *format, ...)
{
	struct buf text = BUF_INIT(4096);
	enum verdict verdict;
	va_list args;

	va_start(args, format);
	(void)buf_printf(&text, "%d %c%s %s: %s rejected: ", code, '0' + code / 100, status + 1,
			 subject_text(check, subject), subject_words[subject]);
	(void)buf_vprintf(&text, format, args);
	va_end(args);
	verdict = refuse(check, &text);
	buf_done(&text);
	return verdict;
}

enum verdict check_reject_plain(struct check *check, int code, const char *status,
				const char *format, ...)
{
	struct buf text = BUF_INIT(4096);
	enum verdict verdict;
	va_list args;

	va_start(args, format);
	(void)buf_printf(&text, "%d %c%s ", code, '0' + code / 100, status + 1);
	(void)buf_vprintf(&text, format, args);
	va_end(args);
	verdict = refuse(check, &text);
	buf_done(&text);
	return verdict;
}

enum verdict check_defer_if_permit(struct check *check, enum subject subject, int code,
				   const char *status, const char *format, ...)
{
	va_list args;

	if (check->warn_if_reject || check->if_permit.is_set)
		return CHECK_DUNNO;
	check->if_permit.is_set = true;
	buf_init(&check->if_permit.reply, 4096);
	va_start(args, format);
	(void)buf_printf(&check->if_permit.reply, "%d %s %s: %s rejected: ", code, status,
			 subject_text(check, subject), subject_words[subject]);
	(void)buf_vprintf(&check->if_permit.reply, format, args);
	va_end(args);
	return CHECK_DUNNO;
}

enum verdict check_defer_if_reject(struct check *check, enum subject subject, const char *status,
				   struct span text)
{
	if (check->warn_if_reject || check->if_reject.is_set)
		return CHECK_DUNNO;
	check->if_reject.is_set = true;
	buf_init(&check->if_reject.reply, 4096);
	(void)buf_printf(&check->if_reject.reply, "450 %s %s: %s rejected: %.*s", status,
			 subject_text(check, subject), subject_words[subject], SPAN_ARG(text));
	return CHECK_DUNNO;
}

enum verdict check_tempfail(struct check *check, const char *action, enum subject subject, int code,
			    const char *status, const char *format, ...)
{
	struct buf text = BUF_INIT(4096);
	enum verdict verdict;
	va_list args;

	va_start(args, format);
	(void)buf_vprintf(&text, format, args);
	va_end(args);
	if (strcmp(action, "defer") == 0 || strcmp(action, "reject") == 0)
		verdict = check_reject(check, subject, code, status, "%s", buf_str(&text));
	else
		verdict = check_defer_if_permit(check, subject, code, status, "%s", buf_str(&text));
	buf_done(&text);
	return verdict;
}

enum verdict check_local_fault(struct check *check, const char *what)
{
	log_warn("%s: %s", client_text(check->session), what);
	check->session->troubles |= NOTICE_DATA;
	return check_reject_plain(check, 451, "4.3.0", "%s: Temporary lookup failure",
				  check->rcpt.n > 0 ? subject_text(check, SUBJECT_RCPT)
						    : subject_text(check, SUBJECT_CLIENT));
}

enum verdict check_config_error(struct check *check)
{
	check->session->troubles |= NOTICE_SOFTWARE;
	return check_reject_plain(check, 451, "4.3.5", "Server configuration error");
}

/* ---- stages ---- */

static void check_open(struct check *check, struct session *s, const char *verb)
{
	*check = (struct check){ .session = s, .verb = verb };
	route_init(&check->route);
	buf_reset(&s->reply);
}

static void check_close(struct check *check)
{
	route_done(&check->route);
	buf_done(&check->if_permit.reply);
	buf_done(&check->if_reject.reply);
}

static enum verdict run_stage(struct check *check, enum stage stage)
{
	enum verdict verdict;

	check->stage = stage;
	verdict = restrictions_run(check, tables.restrictions[stage]);
	check->warn_if_reject = false;
	return verdict;
}

/* A rejection for good becomes one for now when a check said so before it. */
static void defer_rejection(struct check *check)
{
	struct buf *text = &check->session->reply;

	if (check->if_reject.is_set && text->length > 0 && text->data[0] == '5')
		(void)buf_set(text, buf_span(&check->if_reject.reply));
}

/* All due lists said yes or nothing; a postponed deferral is due now. */
static enum verdict settle(struct check *check, enum verdict verdict)
{
	if (verdict == CHECK_REJECT) {
		defer_rejection(check);
		return CHECK_REJECT;
	}
	if (check->if_permit.is_set)
		return refuse(check, &check->if_permit.reply);
	return CHECK_DUNNO;
}

static bool finish(struct check *check, enum verdict verdict)
{
	bool may_go_on = settle(check, verdict) != CHECK_REJECT;

	check_close(check);
	return may_go_on;
}

bool check_connect(struct session *s)
{
	struct check check;
	enum verdict verdict = CHECK_DUNNO;

	check_open(&check, s, "CONNECT");
	if (!conf->smtpd_delay_reject)
		verdict = run_stage(&check, STAGE_CLIENT);
	return finish(&check, verdict);
}

bool check_helo(struct session *s)
{
	struct check check;
	enum verdict verdict = CHECK_DUNNO;

	check_open(&check, s, s->is_esmtp ? "EHLO" : "HELO");
	if (!conf->smtpd_delay_reject)
		verdict = run_stage(&check, STAGE_HELO);
	return finish(&check, verdict);
}

bool check_mail(struct session *s)
{
	struct check check;
	enum verdict verdict = CHECK_DUNNO;

	check_open(&check, s, "MAIL");
	if (!conf->smtpd_delay_reject)
		verdict = run_stage(&check, STAGE_SENDER);
	return finish(&check, verdict);
}

/* Without any relay control a site would relay for everybody: postconf(5) smtpd_relay_restrictions. */
static enum verdict run_rcpt_stages(struct check *check)
{
	static const enum stage relay_first[] = { STAGE_RELAY, STAGE_RCPT },
				rcpt_first[] = { STAGE_RCPT, STAGE_RELAY };
	const enum stage *order =
		conf->smtpd_relay_before_recipient_restrictions ? relay_first : rcpt_first;
	enum verdict verdict = CHECK_DUNNO;

	if (conf->smtpd_delay_reject) {
		verdict = run_stage(check, STAGE_CLIENT);
		if (verdict != CHECK_REJECT)
			verdict = run_stage(check, STAGE_HELO);
		if (verdict != CHECK_REJECT)
			verdict = run_stage(check, STAGE_SENDER);
	}
	for (int i = 0; verdict != CHECK_REJECT && i < 2; i++)
		verdict = run_stage(check, order[i]);
	if (verdict != CHECK_REJECT && conf->smtpd_reject_unlisted_sender)
		verdict = check_listed(check, check->session->mail.mail.sender, SUBJECT_SENDER);
	if (verdict != CHECK_REJECT && conf->smtpd_reject_unlisted_recipient)
		verdict = check_listed(check, check->rcpt, SUBJECT_RCPT);
	return verdict;
}

bool check_rcpt(struct session *s, struct span rcpt, const char *verb)
{
	struct check check;

	check_open(&check, s, verb);
	check.rcpt = rcpt;
	return finish(&check, run_rcpt_stages(&check));
}

bool check_data(struct session *s)
{
	struct check check;

	check_open(&check, s, "DATA");
	check.is_data = true;
	return finish(&check, run_stage(&check, STAGE_DATA));
}

bool check_end_of_data(struct session *s)
{
	struct check check;

	check_open(&check, s, "END-OF-MESSAGE");
	check.is_data = true;
	return finish(&check, run_stage(&check, STAGE_END_OF_DATA));
}

bool check_etrn(struct session *s, struct span domain)
{
	struct check check;
	enum verdict verdict = CHECK_DUNNO;

	check_open(&check, s, "ETRN");
	check.etrn_domain = domain;
	if (conf->smtpd_delay_reject) {
		verdict = run_stage(&check, STAGE_CLIENT);
		if (verdict != CHECK_REJECT)
			verdict = run_stage(&check, STAGE_HELO);
	}
	if (verdict != CHECK_REJECT)
		verdict = run_stage(&check, STAGE_ETRN);
	return finish(&check, verdict);
}

enum route_status check_resolve(struct check *check)
{
	struct session *s = check->session;

	if (!check->is_resolved) {
		check->is_resolved = true;
		check->route_status = site_resolve(&tables.site, &s->lookup, s->mail.mail.sender,
						   check->rcpt, &check->route);
	}
	return check->route_status;
}
