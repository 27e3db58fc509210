/* SPDX-License-Identifier: MIT */
/* RSET, NOOP, HELP, QUIT, ETRN: RFC 5321 4.1.1.5, .8, .9, .10; RFC 1985. */

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "mail/domain.h"
#include "proc/service.h"
#include "queue/verbs.h"
#include "smtpd/check.h"

void cmd_rset(struct session *s, struct span arguments)
{
	if (span_trim(arguments).n > 0) {
		reply(s, "501 5.5.4 Syntax: RSET");
		return;
	}
	session_reset_mail(s);
	notice_flush(s);
	reply(s, "250 2.0.0 Ok");
}

void cmd_noop(struct session *s, struct span arguments)
{
	(void)arguments;
	reply(s, "250 2.0.0 Ok");
}

/* XCLIENT and XFORWARD are commands of hosts that may tell who their client is: nobody may, here. */
void cmd_unauthorized(struct session *s, struct span arguments)
{
	(void)arguments;
	reply(s, "550 5.7.0 Error: insufficient authorization");
}

void cmd_help(struct session *s, struct span arguments)
{
	(void)arguments;
	reply(s, "214 2.0.0 Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY ETRN HELP");
}

void cmd_quit(struct session *s, struct span arguments)
{
	(void)arguments;
	/* A client that says more has not understood; it goes nevertheless. */
	reply(s, "221 2.0.0 Bye");
	s->must_close = true;
}

/* Asks flush(8) for the mail of one domain; the answer is of the enum in queue/verbs.h. */
static bool ask_flush(struct span domain, struct msg_queue_answer *answer,
		      struct ipc_channel *channel)
{
	struct msg_queue_command command = { .verb = QUEUE_FLUSH_SITE, .site = domain };
	struct clock_mono deadline = service_first_answer();
	int fd = service_connect(conf->flush_service_name, deadline);

	ipc_attach(channel, fd);
	return fd >= 0 && IPC_SEND(channel, queue_command, &command, -1, deadline) == IPC_OK &&
	       IPC_EXPECT(channel, queue_answer, answer, deadline) == IPC_OK;
}

void cmd_etrn(struct session *s, struct span arguments)
{
	struct span domain = span_trim(arguments);
	struct msg_queue_answer answer;
	struct ipc_channel channel;

	if (conf->smtpd_helo_required && s->protocol == NULL) {
		reply(s, "503 Error: send HELO/EHLO first");
		return;
	}
	if (s->mail.is_open) {
		reply(s, "503 Error: MAIL transaction in progress");
		return;
	}
	if (domain.n > 0 && (domain.p[0] == '@' || domain.p[0] == '#'))
		domain = span_from(domain, 1);
	if (domain.n == 0) {
		reply(s, "500 Syntax: ETRN domain");
		return;
	}
	if (domain_check(domain, false) != DOMAIN_OK) {
		reply(s, "501 Error: invalid parameter syntax");
		return;
	}
	if (!check_etrn(s, domain)) {
		reply(s, "%s", buf_str(&s->reply));
		return;
	}
	if (!ask_flush(domain, &answer, &channel)) {
		log_warn("%s: the %s service does not answer", client_text(s),
			 conf->flush_service_name);
		reply_logged(s, "458 Unable to queue messages");
	} else if (answer.result == QUEUE_DONE) {
		reply(s, "250 Queuing started");
	} else {
		reply(s, "459 <%.*s>: service unavailable", SPAN_ARG(domain));
	}
	ipc_close(&channel);
}
