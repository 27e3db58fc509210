/* SPDX-License-Identifier: MIT */
/*
 * front: stands before the workers of one inet service of smtpd, so that a client that says
 * nothing costs a few hundred bytes and no process. It accepts, counts connections for each
 * client, greets where the greeting is the same for all, and hands the socket to a worker once
 * the first line is there. It reads nothing but a PROXY header: of the rest it only looks
 * whether a line has come.
 *
 * One process with an event loop, as uid net in a directory of its own that holds no file but
 * the sockets of smtpd and anvil. Its clients are the network: it trusts no byte. Implements
 * smtpd_client_connection_count_limit and _rate_limit and smtpd_upstream_proxy_protocol of
 * postconf(5), RFC 5321 4.2.5 and 3.8 (421). Its log lines are smtpd's.
 */

#include "smtpd/front/front.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "proc/service.h"

static struct {
	bool is_draining;
	struct event_timer report;
} self;

struct front_counts front_counts;

static void log_counts(void)
{
	const struct front_counts *c = &front_counts;

	if (c->hung_up > 0 || c->timed_out > 0)
		log_info("statistics: clients that said nothing: %u hung up, %u timed out", c->hung_up,
			 c->timed_out);
	if (c->made_room > 0 || c->waited_too_long > 0)
		log_info("statistics: too busy: %u silent clients made room for others, %u clients "
			 "were told to come again", c->made_room, c->waited_too_long);
	front_counts = (struct front_counts){ 0 };
}

static void on_report(struct event_timer *timer)
{
	log_counts();
	event_at(timer, clock_in_ms((int64_t)conf->anvil_status_update_time * 1000), on_report);
}

void front_check_end(void)
{
	if (self.is_draining && !clients_are_silent() && !pool_is_waited_for()) {
		log_counts();
		peers_tell_peaks();
		event_stop();
	}
}

/* On a reload those who are here stay, and get a worker of the new generation when they speak. */
static void on_drain(bool has_successor)
{
	static const char text[] = "the mail system is stopping";

	self.is_draining = true;
	if (!has_successor) {
		while (clients_make_room("4.3.2", text))
			;
		pool_refuse_all("4.3.2", text);
	}
	front_check_end();
}

static void prepare(void)
{
	const char *name = *conf->syslog_name != '\0' ? conf->syslog_name : "postfix";
	char *tag = mem_printf("%s/smtpd", name);

	/* To who reads the log, front and workers are one. */
	log_open(tag, log_fd());
	free(tag);
	pace_prepare();
}

static void start(void)
{
	peers_setup();
	bans_setup();
	clients_setup();
	pool_setup();
	event_at(&self.report, clock_in_ms((int64_t)conf->anvil_status_update_time * 1000), on_report);
}

static void on_connection(int fd, const char *listener)
{
	(void)listener;
	client_new(fd);
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "front",
		.kind = SERVICE_LOOP,
		.prepare = prepare,
		.start = start,
		.on_connection = on_connection,
		.on_drain = on_drain,
	};

	return service_main(argc, argv, &program);
}
