/* SPDX-License-Identifier: MIT */
/*
 * pipe: gives messages to the command of its master.cf entry. Each worker splits in two
 * (deliver/actor.h): a part without rights expands the arguments and logs; the monitor runs the
 * command as the user of the entry. Neither takes user or program from a message.
 *
 * Manual: pipe(8).
 */

#include "local/pipe/pipe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/snapshot.h"
#include "deliver/actor.h"
#include "deliver/delivery.h"
#include "deliver/environment.h"
#include "deliver/prefix.h"
#include "ipc/table_client.h"
#include "mail/header.h"
#include "proc/run_as.h"
#include "proc/service.h"

enum { HEAD_MAX = 16 * 1024 * 1024, ARGUMENTS_MAX = 65536, ENVIRONMENT_MAX = 32768 };

static struct {
	struct pipe_settings settings;
	struct actor_identity identity; /* only without `problem` */
	char *problem; /* why nobody can be acted for, or NULL */
} state;

/* ---- in the monitor ---- */

static int identify(const struct msg_act_request *request, struct actor_identity *ret)
{
	struct span program = { state.settings.argv[0], strlen(state.settings.argv[0]) + 1 };

	/* With its NUL: the whole first argument. A shell text is not for us. */
	if (state.problem != NULL || request->target.n > 0 || (!span_has(program, '$') && !span_starts(request->arguments, program)))
		return EPERM;
	*ret = state.identity;
	return 0;
}

/* ---- start ---- */

static void find_identity(void)
{
	struct buf error = BUF_INIT(1024);
	struct run_as who;

	if (!run_as_find(span_of(state.settings.user), conf->mail_owner, service.is_single_uid, &who,
			 &error)) {
		/* A stock master.cf names users that a site need not have: no mail, no harm. */
		state.problem = buf_steal(&error);
		return;
	}
	(void)snprintf(state.identity.name, sizeof(state.identity.name), "%s", who.user);
	state.identity.uid = who.uid;
	state.identity.gid = state.identity.effective_gid = who.gid;
	state.identity.root = state.settings.chroot;
	buf_done(&error);
}

static void prepare(void)
{
	struct buf error = BUF_INIT(1024);
	struct span arguments = { NULL, 0 };

	(void)conf_snapshot_extra_get("argv", &arguments);
	if (!pipe_settings_parse(arguments, &state.settings, &error))
		fatal("%s: %s", service.name, buf_str(&error));
	buf_done(&error);
	find_identity();
	table_client_setup();
	deliver_prepare("pipe_delivery_status_filter", conf->pipe_delivery_status_filter);
}

static void worker_start(void)
{
	static struct actor_rules rules;

	rules = (struct actor_rules){
		.verbs = 1U << ACTOR_COMMAND,
		.time_limit_s = conf_transport_time(service.name, "time_limit"),
		.shell = "",
		.hostname = "",
		.identify = identify,
	};
	actor_start(&rules);
	service_confine(jail_find("pipe_worker"));
}

/* ---- a delivery ---- */

static struct deliver_outcome configuration_error(void)
{
	return deliver_deferred("4.3.5", SPAN("mail system configuration error"));
}

/* Too big, a loop, too many recipients for one header: true with the outcome. */
static bool is_refused(struct delivery *delivery, struct deliver_outcome *ret)
{
	const struct pipe_settings *settings = &state.settings;
	uint64_t size = queue_message_size(&delivery->header);
	struct buf head = BUF_INIT(HEAD_MAX);
	bool is_loop = false;

	if (state.problem != NULL) {
		log_warn("%s: %s", service.name, state.problem);
		*ret = configuration_error();
		return true;
	}
	if (settings->size_limit_bytes > 0 && size > settings->size_limit_bytes) {
		*ret = deliver_failed(
			"5.2.3", span_of(arena_printf(&delivery->arena,
						      "message size %llu exceeds size limit %llu of transport %s",
						      (unsigned long long)size,
						      (unsigned long long)settings->size_limit_bytes,
						      service.name)));
		return true;
	}
	if ((settings->has_delivered_to || settings->has_original_to) && delivery->rcpt_count > 1) {
		log_warn("pipe flags D and O need %s_destination_recipient_limit = 1", service.name);
		*ret = configuration_error();
		return true;
	}
	if (settings->has_delivered_to &&
	    queue_read_head(delivery->fd, &delivery->header, &head))
		is_loop = header_has_delivered_to(buf_span(&head), delivery->rcpts[0].address);
	buf_done(&head);
	if (is_loop)
		*ret = deliver_failed("5.4.6",
				      span_of(arena_printf(&delivery->arena,
							   "mail forwarding loop for %.*s",
							   SPAN_ARG(delivery->rcpts[0].address))));
	return is_loop;
}

static void make_preface(struct delivery *delivery, struct buf *from_line, struct buf *headers)
{
	const struct pipe_settings *settings = &state.settings;
	struct span sender = delivery->request.sender;

	if (sender.n == 0)
		sender = span_of(settings->null_sender);
	if (settings->has_from_line)
		prefix_from_line(from_line, sender, delivery->handoff);
	if (settings->has_return_path)
		prefix_return_path(headers, sender);
	if (settings->has_original_to)
		prefix_original_to(headers, delivery->rcpts[0].orig_address);
	if (settings->has_delivered_to)
		prefix_delivered_to(headers, delivery->rcpts[0].address);
}

static struct deliver_outcome explain(struct delivery *delivery, const struct msg_act_answer *answer)
{
	struct deliver_outcome outcome;
	struct span said = answer->diagnostic;

	if (!span_starts(answer->status, SPAN("2."))) {
		outcome = deliver_by_status(arena_str(&delivery->arena, answer->status),
					    answer->reason);
		outcome.diagnostic_type = said.n > 0 ? SPAN("x-unix") : SPAN("");
		outcome.diagnostic = said;
		return outcome;
	}
	outcome = deliver_sent(span_of(arena_printf(&delivery->arena, "delivered via %s service%s%.*s%s",
						    service.name, said.n > 0 ? " (" : "",
						    SPAN_ARG(said), said.n > 0 ? ")" : "")));
	outcome.action = state.settings.is_final ? DSN_DELIVERED : DSN_RELAYED;
	return outcome;
}

static struct deliver_outcome run(struct delivery *delivery)
{
	const struct pipe_settings *settings = &state.settings;
	struct buf arguments = BUF_INIT(ARGUMENTS_MAX), environment = BUF_INIT(ENVIRONMENT_MAX);
	struct buf from_line = BUF_INIT(2048), headers = BUF_INIT(16384);
	struct msg_act_request request = {
		.verb = ACTOR_COMMAND,
		.title = span_of(settings->argv[0]),
		.directory = settings->directory != NULL ? span_of(settings->directory) : SPAN(""),
		.eol = buf_span(&settings->eol),
		.format = (settings->has_blank_end ? MESSAGE_BLANK_END : 0U) |
			  (settings->quotes_dot ? MESSAGE_QUOTE_DOT : 0U) |
			  (settings->quotes_from ? MESSAGE_QUOTE_FROM : 0U),
	};
	struct deliver_outcome outcome = configuration_error();
	struct msg_act_answer answer;

	make_preface(delivery, &from_line, &headers);
	environment_start(&environment, conf->export_environment);
	request.from_line = buf_span(&from_line);
	request.prefix = buf_span(&headers);
	request.environment = buf_span(&environment);
	if (pipe_expand(settings, delivery, &arguments)) {
		request.arguments = buf_span(&arguments);
		actor_ask(&request, delivery->fd, &answer);
		outcome = explain(delivery, &answer);
	} else {
		log_warn("%s: bad macro in argv=, or too many recipients for it", service.name);
	}
	buf_done(&arguments);
	buf_done(&environment);
	buf_done(&from_line);
	buf_done(&headers);
	return outcome;
}

static void deliver(struct delivery *delivery)
{
	struct deliver_outcome outcome;

	if (delivery->rcpt_count > 0 && !is_refused(delivery, &outcome))
		outcome = deliver_is_probe(delivery)
				  ? deliver_sent(span_of(arena_printf(&delivery->arena,
								      "delivers via %s service",
								      service.name)))
				  : run(delivery);
	deliver_report_all(delivery, &outcome);
}

static void serve(int fd, const char *client)
{
	struct deliver_agent agent = { .relay = service.name, .deliver = deliver };

	deliver_serve(fd, client, &agent);
}

static const struct service_program program = {
	.name = "pipe",
	.kind = SERVICE_WORKERS,
	.prepare = prepare,
	.worker_start = worker_start,
	.serve = serve,
};

int main(int argc, char **argv)
{
	return service_main(argc, argv, &program);
}
