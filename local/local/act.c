/* SPDX-License-Identifier: MIT */
/*
 * What the expander has the monitor do: find a user, read a file, write a mailbox, run a command
 * (deliver/actor.h). What the message needs in front and what a command may know is made here.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/log.h"
#include "conf/conf.h"
#include "deliver/actor.h"
#include "deliver/environment.h"
#include "deliver/prefix.h"
#include "local/local/local.h"

/* ---- users and their files ---- */

static void keep_user(struct run *run, const struct msg_act_answer *answer, struct user *ret)
{
	struct arena *arena = &run->delivery->arena;

	ret->name = arena_span(arena, answer->user);
	ret->home = arena_span(arena, answer->home);
	ret->shell = arena_span(arena, answer->shell);
}

int user_find(struct run *run, struct span name, struct user *ret)
{
	struct msg_act_request request = { .verb = ACTOR_LOOKUP, .user = name };
	struct msg_act_answer answer;

	actor_ask(&request, -1, &answer);
	if (answer.error == 0)
		keep_user(run, &answer, ret);
	else if (answer.error != ENOENT)
		log_warn("%s: user %s: %s", run->delivery->id, log_clean(name),
			 strerror((int)answer.error));
	return (int)answer.error;
}

int user_read(struct run *run, struct span user, struct span path, size_t limit_bytes,
	      struct span *ret_text, struct user *ret_actor, struct span *ret_reason)
{
	struct arena *arena = &run->delivery->arena;
	struct msg_act_request request = { .verb = ACTOR_READ, .user = user, .target = path };
	struct msg_act_answer answer;
	struct buf text;
	int error;

	buf_init(&text, limit_bytes);
	do {
		request.offset = text.length;
		actor_ask(&request, -1, &answer);
		error = (int)answer.error;
		if (error == 0 && !buf_add(&text, answer.data))
			error = EFBIG;
	} while (error == 0 && answer.more);
	*ret_reason = error == EPERM && answer.reason.n > 0 ? answer.reason : span_of(strerror(error));
	*ret_reason = arena_span(arena, *ret_reason);
	*ret_text = arena_span(arena, buf_span(&text));
	if (error == 0)
		keep_user(run, &answer, ret_actor);
	buf_done(&text);
	return error;
}

/* ---- outcomes ---- */

static void report_answer(struct run *run, const struct target *target,
			  const struct msg_act_answer *answer, const char *in_front)
{
	char status[DSN_STATUS_SIZE];
	struct buf reason = BUF_INIT(8192);
	struct deliver_outcome outcome;

	(void)snprintf(status, sizeof(status), "%.*s", SPAN_ARG(answer->status));
	(void)buf_printf(&reason, "%s%.*s", in_front, SPAN_ARG(answer->reason));
	outcome = deliver_by_status(status, buf_span(&reason));
	if (answer->diagnostic.n > 0) {
		outcome.diagnostic_type = SPAN("x-unix");
		outcome.diagnostic = answer->diagnostic;
	}
	run_report(run, target, &outcome);
	buf_done(&reason);
}

/* ---- deliveries ---- */

struct preface {
	struct buf from_line, headers;
};

static void make_preface(struct preface *preface, struct run *run, const struct target *target,
			 const char *context, bool has_from_line)
{
	buf_init(&preface->from_line, 2048);
	buf_init(&preface->headers, 16384);
	if (has_from_line)
		prefix_from_line(&preface->from_line, target->sender, run->delivery->handoff);
	prefix_return_path(&preface->headers, target->sender);
	prefix_original_to(&preface->headers, target->orig_address);
	if (list_has(conf->prepend_delivered_header, context))
		prefix_delivered_to(&preface->headers, target->delivered);
}

static void preface_done(struct preface *preface)
{
	buf_done(&preface->from_line);
	buf_done(&preface->headers);
}

void deliver_file(struct run *run, const struct target *target, const struct user *user,
		  struct span path, bool is_mailbox)
{
	bool is_maildir = path.p[path.n - 1] == '/';
	const char *kind = is_maildir ? "maildir" : is_mailbox ? "mailbox" : "file";
	struct msg_act_request request = {
		.verb = is_maildir ? ACTOR_MAILDIR : ACTOR_MBOX,
		.user = user != NULL ? user->name : SPAN(""),
		.target = path,
		.is_mailbox = is_mailbox,
		.format = is_maildir ? 0 : MESSAGE_QUOTE_FROM | MESSAGE_BLANK_END,
	};
	struct span name = is_mailbox || is_maildir ? SPAN("") : path;
	const char *colon = name.n > 0 ? ": " : "", *wrong;
	struct msg_act_answer answer;
	struct preface preface;

	if (!is_mailbox && run_has_seen(run, "file", path))
		return;
	if (deliver_is_probe(run->delivery)) {
		run_report_done(run, target, "delivers to %s%s%.*s", kind, colon, SPAN_ARG(name));
		return;
	}
	make_preface(&preface, run, target, "file", !is_maildir);
	request.from_line = buf_span(&preface.from_line);
	request.prefix = buf_span(&preface.headers);
	actor_ask(&request, run->delivery->fd, &answer);
	if (span_starts(answer.status, SPAN("2."))) {
		run_report_done(run, target, "delivered to %s%s%.*s", kind, colon, SPAN_ARG(name));
	} else {
		wrong = is_maildir ? "maildir delivery failed: "
			: arena_printf(&run->delivery->arena, "cannot update mailbox %.*s for user %.*s. ",
				       SPAN_ARG(path), SPAN_ARG(user != NULL ? user->name
							     : span_of(conf->default_privs)));
		report_answer(run, target, &answer, wrong);
	}
	preface_done(&preface);
}

/* What a command is told: local(8), EXTERNAL COMMAND DELIVERY. */
static void make_environment(struct buf *out, struct run *run, const struct target *target,
			     const struct user *user)
{
	const char *allowed = conf->command_expansion_filter;

	environment_start(out, conf->export_environment);
	if (user != NULL) {
		environment_add(out, "HOME", user->home, NULL);
		environment_add(out, "SHELL", user->shell, NULL);
	}
	environment_add(out, "USER", target->user, allowed);
	environment_add(out, "LOGNAME", target->user, allowed);
	environment_add(out, "LOCAL", target->local, allowed);
	environment_add(out, "EXTENSION", target->extension, allowed);
	environment_add(out, "DOMAIN", target->domain, allowed);
	environment_add(out, "RECIPIENT", target->address, allowed);
	environment_add(out, "ORIGINAL_RECIPIENT", target->orig_address, allowed);
	environment_add(out, "SENDER", target->sender.n > 0 ? target->sender : SPAN("MAILER-DAEMON"),
			allowed);
	environment_add_client(out, &run->delivery->envelope, allowed);
}

static bool find_directory(struct run *run, const struct target *target, const struct user *user,
			   struct span *ret)
{
	struct deliver_outcome outcome =
		deliver_deferred("4.3.5", SPAN("bad command_execution_directory"));

	*ret = (struct span){ NULL, 0 };
	if (*conf->command_execution_directory == '\0' ||
	    expand_for(run, target, user, span_of(conf->command_execution_directory),
		       conf->execution_directory_expansion_filter, ret))
		return true;
	run_report(run, target, &outcome);
	return false;
}

void deliver_command(struct run *run, const struct target *target, const struct user *user,
		     struct span command)
{
	struct msg_act_request request = {
		.verb = ACTOR_COMMAND,
		.user = user != NULL ? user->name : SPAN(""),
		.target = command,
		.title = span_first(command, 1000),
	};
	struct buf environment = BUF_INIT(32768), key = BUF_INIT(8192);
	struct msg_act_answer answer;
	struct preface preface;

	(void)buf_printf(&key, "%.*s %.*s", SPAN_ARG(request.user), SPAN_ARG(command));
	if (run_has_seen(run, "command", buf_span(&key)))
		goto done;
	if (deliver_is_probe(run->delivery)) {
		run_report_done(run, target, "delivers to command: %.*s", SPAN_ARG(command));
		goto done;
	}
	if (!find_directory(run, target, user, &request.directory))
		goto done;
	make_preface(&preface, run, target, "command", true);
	make_environment(&environment, run, target, user);
	request.from_line = buf_span(&preface.from_line);
	request.prefix = buf_span(&preface.headers);
	request.environment = buf_span(&environment);
	actor_ask(&request, run->delivery->fd, &answer);
	if (span_starts(answer.status, SPAN("2.")))
		run_report_done(run, target, "delivered to command: %.*s", SPAN_ARG(command));
	else
		report_answer(run, target, &answer, "");
	preface_done(&preface);
done:
	buf_done(&environment);
	buf_done(&key);
}
