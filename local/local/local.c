/* SPDX-License-Identifier: MIT */
/*
 * local: delivers to users of this system. Each worker splits in two: an expander without rights,
 * in a jail with nothing but its sockets, which reads aliases and decides, and a root monitor
 * that has things done as users (deliver/actor.h). This file starts both and takes the
 * recipients of a request one after the other.
 *
 * Manuals: local(8), aliases(5).
 */

#include "local/local/local.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/table_client.h"
#include "mail/header.h"
#include "proc/service.h"
#include "table/maps.h"

enum { HEAD_MAX = 16 * 1024 * 1024 };

struct local local;

static struct maps *open_maps(const char *title, const char *list)
{
	struct buf error = BUF_INIT(1024);
	struct maps *maps = maps_open(title, span_of(list),
				      TABLE_FOLD | TABLE_NO_SUBST | TABLE_IN_JAIL, &error);

	if (maps == NULL)
		fatal("%s", buf_str(&error));
	buf_done(&error);
	return maps;
}

static void prepare(void)
{
	table_client_setup();
	owners_prepare();
	local.aliases = open_maps("alias_maps", conf->alias_maps);
	local.command_maps = open_maps("mailbox_command_maps", conf->mailbox_command_maps);
	local.transport_maps = open_maps("mailbox_transport_maps", conf->mailbox_transport_maps);
	local.fallback_maps = open_maps("fallback_transport_maps", conf->fallback_transport_maps);
	site_open(&local.site, TABLE_IN_JAIL);
	deliver_prepare("local_delivery_status_filter", conf->local_delivery_status_filter);
	if (gethostname(local.hostname, sizeof(local.hostname) - 1) < 0)
		fatal("gethostname: %s", strerror(errno));
}

/* The expander opens no file and runs nothing. */
static void worker_start(void)
{
	rights_start();
	service_confine(jail_find("local_worker"));
}

static bool is_loop(struct run *run, const struct target *target)
{
	return header_has_delivered_to(buf_span(run->head), target->delivered);
}

static void deliver_one(struct delivery *delivery, struct buf *head, const struct msg_rcpt *rcpt)
{
	struct run run = { .delivery = delivery, .rcpt = rcpt, .head = head };
	struct target *target;

	list_init(&run.forwardings);
	list_init(&run.postponed);
	target = target_new(&run, NULL, FROM_REQUEST, rcpt->address);
	if (is_loop(&run, target)) {
		struct buf reason = BUF_INIT(4096);

		(void)buf_printf(&reason, "mail forwarding loop for %.*s", SPAN_ARG(target->delivered));

		struct deliver_outcome outcome = deliver_failed("5.4.6", buf_span(&reason));

		run_report(&run, target, &outcome);
		buf_done(&reason);
	} else {
		deliver_recipient(&run, target);
	}
	run_finish(&run);
	htab_done(&run.seen, NULL);
}

static void deliver(struct delivery *delivery)
{
	struct buf head = BUF_INIT(HEAD_MAX);

	if (deliver_read_head(delivery, &head))
		for (size_t i = 0; i < delivery->rcpt_count; i++)
			deliver_one(delivery, &head, &delivery->rcpts[i]);
	buf_done(&head);
}

static void serve(int fd, const char *client)
{
	static const struct deliver_agent agent = { .relay = "local", .deliver = deliver };

	deliver_serve(fd, client, &agent);
}

static const struct service_program program = {
	.name = "local",
	.kind = SERVICE_WORKERS,
	.prepare = prepare,
	.worker_start = worker_start,
	.serve = serve,
};

int main(int argc, char **argv)
{
	return service_main(argc, argv, &program);
}
