/* SPDX-License-Identifier: MIT */
/*
 * discard: says that every recipient was delivered, and throws the message away. The next hop is
 * the text for the log. Runs as uid net in an empty jail; it reads nothing but the request.
 * Manual: discard(8).
 */

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
	char status[DSN_STATUS_SIZE];
	struct deliver_outcome outcome;
	struct span reason;

	dsn_split(delivery->request.nexthop, "2.0.0", status, &reason);
	status[0] = '2';
	outcome = deliver_by_status(status, reason);
	deliver_report_all(delivery, &outcome);
}

static void serve(int fd, const char *client)
{
	static const struct deliver_agent agent = { .relay = "none", .deliver = deliver };

	deliver_serve(fd, client, &agent);
}

static const struct service_program program = {
	.name = "discard",
	.kind = SERVICE_WORKERS,
	.prepare = prepare,
	.serve = serve,
};

int main(int argc, char **argv)
{
	return service_main(argc, argv, &program);
}
