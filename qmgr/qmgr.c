/* SPDX-License-Identifier: MIT */
/*
 * qmgr(8), the queue manager: finds messages, decides where and when their recipients are
 * delivered, gives them to delivery agents, and keeps the queue up to date with the results.
 *
 * One process with an event loop, as the queue's owner, in the queue directory; no network. It
 * never waits for another process. It trusts queue files after their checksum, agents only
 * for the deliveries whose token they know, and commands by their user id.
 * SCHEDULER_README says what the scheduler does for the administrator; ARCHITECTURE.md what is
 * durable when.
 */

#include "qmgr/qmgr.h"


#include "conf/conf.h"
#include "conf/snapshot.h"
#include "proc/service.h"

struct queue_dirs queue_dirs;

static struct event_timer scan_timer;

static void on_scan_time(struct event_timer *timer)
{
	scan_deferred(false);
	scan_incoming();
	event_at(timer, clock_in_ms((int64_t)conf->queue_run_delay * 1000), on_scan_time);
}

static void prepare(void)
{
	struct span secret;

	if (!conf_snapshot_extra_get("secret", &secret))
		secret = (struct span){ NULL, 0 };
	deliver_prepare_tokens(secret);
	resolve_prepare();
	flush_prepare();
}

static void start(void)
{
	service_open_queue(&queue_dirs);
	ending_wait_for_other();
	scan_start();
	event_at(&scan_timer, clock_in_ms(0), on_scan_time);
}

static int watchdog_s(void)
{
	return conf->qmgr_daemon_timeout;
}

static void on_wakeup(void)
{
	scan_incoming();
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "qmgr",
		.kind = SERVICE_LOOP,
		.prepare = prepare,
		.start = start,
		.on_connection = commands_on_connection,
		.on_letters = commands_on_letters,
		.on_wakeup = on_wakeup,
		.watchdog_s = watchdog_s,
		.on_drain = ending_start,
	};

	return service_main(argc, argv, &program);
}
