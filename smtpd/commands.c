/* SPDX-License-Identifier: MIT */
/*
 * The table of SMTP commands and the loop that takes one after the other, from the greeting to
 * the end of the session. RFC 5321 section 4; postconf(5) smtpd_timeout, smtpd_junk_command_limit.
 */

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "proc/service.h"
#include "smtpd/check.h"
#include "smtpd/tls.h"

static const struct verb verbs[] = {
	{ "helo", cmd_helo, VERB_NO_PIPELINE | VERB_BEFORE_TLS },
	{ "ehlo", cmd_ehlo, VERB_NO_PIPELINE | VERB_BEFORE_TLS },
	{ "starttls", cmd_starttls, VERB_BEFORE_TLS },
	{ "auth", cmd_auth, VERB_NO_PIPELINE | VERB_IS_SECRET },
	{ "mail", cmd_mail, 0 },
	{ "rcpt", cmd_rcpt, 0 },
	{ "data", cmd_data, VERB_NO_PIPELINE },
	{ "bdat", cmd_bdat, 0 },
	{ "rset", cmd_rset, VERB_IS_JUNK | VERB_BEFORE_TLS },
	{ "noop", cmd_noop, VERB_IS_JUNK | VERB_BEFORE_TLS },
	{ "vrfy", cmd_vrfy, VERB_IS_JUNK },
	{ "etrn", cmd_etrn, VERB_IS_JUNK },
	{ "help", cmd_help, VERB_IS_JUNK | VERB_BEFORE_TLS },
	{ "quit", cmd_quit, VERB_BEFORE_TLS },
	{ "xclient", cmd_unauthorized, VERB_NO_PIPELINE },
	{ "xforward", cmd_unauthorized, VERB_NO_PIPELINE },
};

/* The last counter is for what is no command. */
enum { VERBS = ARRAY_LEN(verbs), UNKNOWN = VERBS, LONG_LINE_MAX = 512 * 1024 };

static const struct verb *find_verb(struct span word)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (span_is_nocase(word, verbs[i].name))
			return &verbs[i];
	return NULL;
}

/* "CONNECT", "GET": somebody who thinks this is a web server, or is a browser made to talk. */
static bool is_forbidden(struct session *s, struct span line, struct span word)
{
	struct span rest = span_of(conf->smtpd_forbidden_commands), value, name;

	if (word.n == 0)
		return false;
	if (tables.forbidden_commands != NULL &&
	    maps_find(tables.forbidden_commands, &s->lookup, line, false, &value) == TABLE_FOUND)
		return true;
	while ((name = span_word(&rest, ", \t\r\n")).n > 0)
		if (span_eq_nocase(name, word))
			return true;
	return false;
}

/* One command line without its line end. False when the session is over. */
static bool read_command(struct session *s, struct span *ret_line)
{
	size_t limit = (size_t)conf->line_length_limit, swallowed = 0;
	enum io_status status;

	stream_set_deadline(&s->stream, clock_in_ms((int64_t)conf->smtpd_timeout * 1000));
	status = stream_line(&s->stream, limit, ret_line, NULL);
	if (status != IO_TOOLONG)
		return status == IO_OK;

	/* Its end is looked for, but not for ever. */
	while (status == IO_TOOLONG && swallowed < LONG_LINE_MAX) {
		swallowed += ret_line->n;
		status = stream_line(&s->stream, limit, ret_line, NULL);
	}
	if (status != IO_OK)
		return false;
	*ret_line = SPAN("\x01"); /* no command begins like this */
	return true;
}

static void handle_unknown(struct session *s, struct span line, struct span word)
{
	s->tried[UNKNOWN]++;
	s->where = "UNKNOWN";
	if (span_is(line, "\x01")) {
		reply(s, "500 5.5.2 Error: line too long");
	} else if (is_forbidden(s, line, word)) {
		log_warn("non-SMTP command from %s: %s", client_text(s),
			 log_clean(span_first(line, 100)));
		reply_quietly(s, "221 2.7.0 Error: I can break rules, too. Goodbye.");
		s->must_close = true;
	} else if (word.n == 0) {
		reply(s, "500 5.5.2 Error: bad syntax");
	} else {
		reply(s, "502 5.5.2 Error: command not recognized");
	}
}

/* The client did not wait for a reply: postconf(5) smtpd_forbid_unauth_pipelining. */
static void end_out_of_step(struct session *s)
{
	log_info("improper command pipelining after %s from %s", s->where, client_text(s));
	reply_quietly(s, "554 5.5.0 Error: SMTP protocol synchronization");
	s->must_close = true;
}

/* A client that may not pipeline at all, and did. */
static bool is_out_of_step(struct session *s)
{
	if (!conf->smtpd_forbid_unauth_pipelining || (s->is_esmtp && s->may_pipeline) ||
	    stream_buffered(&s->stream).n == 0)
		return false;
	end_out_of_step(s);
	return true;
}

/* smtpd_command_filter: another command in place of what a broken client said. */
static struct span filter_command(struct session *s, struct span line)
{
	struct span value;

	if (maps_is_empty(tables.command_filter))
		return line;
	switch (maps_find(tables.command_filter, &s->lookup, line, false, &value)) {
	case TABLE_FOUND: return arena_span(&s->line_arena, value);
	case TABLE_ERROR: log_warn("%s", maps_error(tables.command_filter)); break;
	case TABLE_NOT_FOUND:
	case TABLE_PENDING: break;
	}
	return line;
}

static bool is_noop(struct span word)
{
	struct span rest = span_of(conf->smtpd_noop_commands), name;

	while (word.n > 0 && (name = span_word(&rest, ", \t\r\n")).n > 0)
		if (span_eq_nocase(name, word))
			return true;
	return false;
}

static void keep_said(struct session *s, struct span line)
{
	s->said_size = line.n < sizeof(s->said) ? line.n : sizeof(s->said);
	memcpy(s->said, line.p, s->said_size);
}

static void handle(struct session *s, struct span line)
{
	static char where[16];

	service_busy();
	line = filter_command(s, line);

	struct span rest = line, word = span_word(&rest, " \t");
	const struct verb *verb = find_verb(word);
	int errors = s->errors;
	size_t index;

	/* A secret is none of the log's business; what is too long was not kept. */
	keep_said(s, (verb != NULL && (verb->flags & VERB_IS_SECRET) != 0) || span_is(line, "\x01")
			     ? word : line);
	notice_line(s, "In", verb != NULL && (verb->flags & VERB_IS_SECRET) != 0 ? word : line);
	if (is_noop(word)) {
		reply_quietly(s, "250 2.0.0 Ok");
		return;
	}
	if (verb == NULL || (line.n > 0 && ascii_is_blank(line.p[0]))) {
		handle_unknown(s, line, word);
		return;
	}
	index = (size_t)(verb - verbs);
	for (size_t i = 0; i <= word.n && i < sizeof(where); i++)
		where[i] = i < word.n ? ascii_upper(word.p[i]) : '\0';
	s->where = where;
	s->tried[index]++;
	/* RFC 2920 3.1: nobody may speak on before the reply, unless the words are not his own. */
	if (conf->smtpd_forbid_unauth_pipelining && (verb->flags & VERB_NO_PIPELINE) != 0 &&
	    stream_buffered(&s->stream).n > 0) {
		end_out_of_step(s);
		return;
	}
	if (session_needs_tls(s) && (verb->flags & VERB_BEFORE_TLS) == 0) {
		reply(s, "530 5.7.0 Must issue a STARTTLS command first");
		return;
	}
	if ((verb->flags & VERB_IS_JUNK) != 0 && ++s->junk > conf->smtpd_junk_command_limit)
		s->errors++;
	rest = rest.n > 0 ? span_from(rest, 1) : rest;
	verb->handle(s, rest);
	arena_reset(&s->line_arena);
	/* Less than before: the message was taken, and the errors before it are forgiven. */
	if (s->errors <= errors && s->stream.status == IO_OK)
		s->done[index]++;
}

static void log_lost(struct session *s)
{
	const char *what = s->stream.status == IO_TIMEOUT ? "timeout" : "lost connection";
	bool in_content = strcmp(s->where, "DATA") == 0 || strcmp(s->where, "BDAT") == 0;

	if (in_content)
		log_info("%s after %s (%llu bytes) from %s", what, s->where,
			 (unsigned long long)s->mail.content_bytes, client_text(s));
	else
		log_info("%s after %s from %s", what, s->where, client_text(s));
	if (s->stream.status != IO_TIMEOUT)
		return;
	/* The stream keeps its failure; the farewell goes around it. */
	s->stream.status = IO_OK;
	stream_set_deadline(&s->stream, clock_in_ms(1000));
	reply_quietly(s, "421 4.4.2 %s Error: timeout exceeded", conf->myhostname);
}

static bool has_too_many_errors(struct session *s)
{
	if (s->errors < conf->smtpd_hard_error_limit)
		return false;
	log_info("too many errors after %s from %s", s->where, client_text(s));
	reply_quietly(s, "421 4.7.0 %s Error: too many errors", conf->myhostname);
	return true;
}

/* Closes at 421 and 521, which tables may give as the reply to anything. */
static bool is_over(struct session *s)
{
	return s->must_close || s->stream.status != IO_OK || has_too_many_errors(s);
}

/* True when the session may go on behind the greeting. */
static bool greet(struct session *s)
{
	if (s->offer.was_greeted) {
		notice_line(s, "Out", SPAN("220, by the front"));
		return true;
	}
	if (!session_start_wrapped(s))
		return false;
	if (s->offer.is_limited && limit_connection(s))
		return false;
	if (!check_connect(s)) {
		/* RFC 5321 3.1: the client hears why, and may only QUIT. */
		reply(s, "%s", buf_str(&s->reply));
		return true;
	}
	reply_quietly(s, "220 %s", conf->smtpd_banner);
	return true;
}

/* "ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4" */
static void log_end(struct session *s)
{
	struct buf counts = BUF_INIT(1000);
	unsigned done = 0, tried = 0;

	for (size_t i = 0; i <= UNKNOWN; i++) {
		const char *name = i < VERBS ? verbs[i].name : "unknown";

		done += s->done[i];
		tried += s->tried[i];
		if (s->tried[i] == 0)
			continue;
		if (s->done[i] == s->tried[i])
			(void)buf_printf(&counts, " %s=%u", name, s->tried[i]);
		else
			(void)buf_printf(&counts, " %s=%u/%u", name, s->done[i], s->tried[i]);
	}
	if (done == tried && tried > 0)
		(void)buf_printf(&counts, " commands=%u", tried);
	else
		(void)buf_printf(&counts, " commands=%u/%u", done, tried);
	log_info("disconnect from %s%s", client_text(s), buf_str(&counts));
	buf_done(&counts);
}

static void run_commands(struct session *s)
{
	struct span line;

	do {
		if (!read_command(s, &line)) {
			log_lost(s);
			return;
		}
		handle(s, line);
		if (s->must_close || s->stream.status != IO_OK || is_out_of_step(s))
			break;
	} while (!is_over(s));
	if (s->stream.status != IO_OK)
		log_lost(s);
}

void session_run(struct session *s)
{
	s->where = "CONNECT";
	log_info("connect from %s", client_text(s));
	if (greet(s) && !s->must_close)
		run_commands(s);
	(void)stream_flush(&s->stream);
	session_reset_mail(s);
	/* Before the log line: who reads it may connect, and this session counts no longer. */
	handover_end(s);
	log_end(s);
	notice_end(s);
}
