/* SPDX-License-Identifier: MIT */
/*
 * error, and under the service name retry: gives every recipient the outcome that the next hop
 * spells out, "5.1.2 text". Runs as uid net in an empty jail; it reads nothing but the request.
 * Manual: error(8).
 */

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "deliver/delivery.h"
#include "ipc/table_client.h"
#include "proc/service.h"

static void prepare(void)
{
	table_client_setup();
	deliver_prepare("default_delivery_status_filter", conf->default_delivery_status_filter);
}

static void deliver(struct delivery *delivery)
{
	bool is_retry = strcmp(service.name, "retry") == 0;
	char status[DSN_STATUS_SIZE];
	struct deliver_outcome outcome;
	struct span reason;

	dsn_split(delivery->request.nexthop, is_retry ? "4.0.0" : "5.0.0", status, &reason);
	/* A code of the wrong class is one of a user who meant the detail. */
	status[0] = is_retry ? '4' : '5';
	outcome = deliver_by_status(status, reason);
	deliver_report_all(delivery, &outcome);
}

static void serve(int fd, const char *client)
{
	static const struct deliver_agent agent = { .relay = "none", .deliver = deliver };

	deliver_serve(fd, client, &agent);
}

static const struct service_program program = {
	.name = "error",
	.kind = SERVICE_WORKERS,
	.prepare = prepare,
	.serve = serve,
};

int main(int argc, char **argv)
{
	return service_main(argc, argv, &program);
}
