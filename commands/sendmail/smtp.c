/* SPDX-License-Identifier: MIT */
/*
 * sendmail -bs: SMTP on standard input and output, for mail programs that submit in that way. A
 * small server of its own, with the caller's rights and nobody else's: what it takes goes the way
 * of all local mail, through postdrop. RFC 5321, RFC 3461 (parameters).
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "commands/sendmail/sendmail.h"
#include "conf/conf.h"
#include "mail/smtp_cmd.h"
#include "queue/envelope.h"

enum { WORDS_MAX = 16 * 1024 };

static struct {
	struct input input;
	struct submission submission;
	struct buf words;
	bool has_mail;
} session;

static const struct smtp_cmd_rules rules = {
	.ext = SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_DSN,
	.is_lax = true,
};

static void reply(const char *text)
{
	(void)printf("%s\r\n", text);
}

static void flush_replies(void)
{
	(void)fflush(stdout);
}

static void reset(void)
{
	struct submission *submission = &session.submission;

	free(submission->rcpts);
	arena_done(&submission->arena);
	*submission = (struct submission){ .ends_at_dot = true, .is_smtp = true };
	session.has_mail = false;
}

static void on_helo(struct span args)
{
	(void)args;
	reset();
	(void)printf("250 %s\r\n", conf->myhostname);
}

static void on_ehlo(struct span args)
{
	(void)args;
	reset();
	(void)printf("250-%s\r\n250-PIPELINING\r\n250-SIZE %lld\r\n250-ENHANCEDSTATUSCODES\r\n"
		     "250-8BITMIME\r\n250-DSN\r\n250 SMTPUTF8\r\n",
		     conf->myhostname, (long long)conf->message_size_limit);
}

static void reply_bad_args(enum smtp_cmd_status status)
{
	switch (status) {
	case SMTP_CMD_BAD_ADDRESS: reply("501 5.1.7 Bad address syntax"); return;
	case SMTP_CMD_NEEDS_UTF8:
		reply("553 5.6.7 Must declare SMTPUTF8 to use this address");
		return;
	case SMTP_CMD_TOO_BIG: reply("552 5.3.4 Message size exceeds fixed limit"); return;
	case SMTP_CMD_UNKNOWN:
	case SMTP_CMD_TOO_MANY: reply("555 5.5.4 Unsupported parameter"); return;
	case SMTP_CMD_OK:
	case SMTP_CMD_SYNTAX:
	case SMTP_CMD_BAD_VALUE: break;
	}
	reply("501 5.5.4 Syntax error in arguments");
}

static void on_mail(struct span args)
{
	struct msg_envelope *envelope = &session.submission.envelope;
	struct arena *arena = &session.submission.arena;
	struct smtp_mail mail;
	struct span bad;
	enum smtp_cmd_status status;

	if (session.has_mail) {
		reply("503 5.5.1 Nested MAIL command");
		return;
	}
	buf_reset(&session.words);
	status = smtp_mail_parse(args, &rules, &session.words, &mail, &bad);
	if (status != SMTP_CMD_OK) {
		reply_bad_args(status);
		return;
	}
	if (conf->message_size_limit > 0 && mail.size_bytes > (uint64_t)conf->message_size_limit) {
		reply_bad_args(SMTP_CMD_TOO_BIG);
		return;
	}
	envelope->sender = arena_span(arena, mail.sender);
	envelope->envid = arena_span(arena, mail.envid);
	envelope->rewrite_context = SPAN("local");
	envelope->ret = mail.ret;
	envelope->flags = mail.is_smtputf8 ? ENVELOPE_SMTPUTF8 : 0;
	if (mail.body == SMTP_BODY_8BITMIME)
		envelope->body_type = SPAN("8bit");
	session.has_mail = true;
	reply("250 2.1.0 Ok");
}

static void on_rcpt(struct span args)
{
	struct submission *submission = &session.submission;
	struct smtp_cmd_rules rcpt_rules = rules;
	struct smtp_rcpt rcpt;
	struct span bad;
	enum smtp_cmd_status status;

	if (!session.has_mail) {
		reply("503 5.5.1 Error: need MAIL command");
		return;
	}
	if ((submission->envelope.flags & ENVELOPE_SMTPUTF8) != 0)
		rcpt_rules.addr_flags |= SMTP_ADDR_UTF8;
	buf_reset(&session.words);
	status = smtp_rcpt_parse(args, &rcpt_rules, &session.words, &rcpt, &bad);
	if (status != SMTP_CMD_OK || rcpt.recipient.n == 0) {
		reply_bad_args(status == SMTP_CMD_OK ? SMTP_CMD_BAD_ADDRESS : status);
		return;
	}
	submission_add_rcpt(submission, arena_span(&submission->arena, rcpt.recipient));
	submission->rcpts[submission->rcpt_count - 1].orcpt =
		arena_span(&submission->arena, rcpt.orcpt);
	submission->rcpts[submission->rcpt_count - 1].notify = rcpt.notify;
	reply("250 2.1.5 Ok");
}

static void on_data(struct span args)
{
	(void)args;
	if (session.submission.rcpt_count == 0) {
		reply(session.has_mail ? "554 5.5.1 Error: no valid recipients"
				       : "503 5.5.1 Error: need RCPT command");
		return;
	}
	reply("354 End data with <CR><LF>.<CR><LF>");
	submit_message(&session.submission, &session.input);
	reset();
	reply("250 2.0.0 Ok: queued in maildrop");
}

static void on_rset(struct span args)
{
	(void)args;
	reset();
	reply("250 2.0.0 Ok");
}

static void on_noop(struct span args)
{
	(void)args;
	reply("250 2.0.0 Ok");
}

static void on_vrfy(struct span args)
{
	(void)args;
	reply("252 2.0.0 Cannot VRFY user");
}

NORETURN static void on_quit(struct span args)
{
	(void)args;
	reply("221 2.0.0 Bye");
	flush_replies();
	exit(0);
}

static const struct {
	const char *verb;
	void (*run)(struct span args);
} commands[] = {
	{ "HELO", on_helo }, { "EHLO", on_ehlo }, { "MAIL", on_mail },
	{ "RCPT", on_rcpt }, { "DATA", on_data }, { "RSET", on_rset },
	{ "NOOP", on_noop }, { "VRFY", on_vrfy }, { "QUIT", on_quit },
};

static void run_command(struct span line)
{
	struct span verb = span_word(&line, " \t");

	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (span_is_nocase(verb, commands[i].verb)) {
			commands[i].run(span_trim(line));
			return;
		}
	reply("502 5.5.2 Error: command not recognized");
}

void smtp_serve(void)
{
	struct input_line line;

	buf_init(&session.words, WORDS_MAX);
	input_open(&session.input);
	session.input.before_wait = flush_replies;
	reset();
	(void)printf("220 %s ESMTP %s\r\n", conf->myhostname, conf->mail_name);
	while (input_next(&session.input, &line)) {
		if (line.is_first && line.has_end)
			run_command(line.text);
		else if (line.has_end)
			reply("500 5.5.2 Error: line too long");
	}
	flush_replies();
	exit(0);
}
