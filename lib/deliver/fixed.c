/* SPDX-License-Identifier: MIT */
/*
 * What error and discard do; see fixed.h. Runs as uid net in an empty jail, and reads nothing but the
 * request.
 */

#include "deliver/fixed.h"

#include "conf/conf.h"
#include "deliver/delivery.h"
#include "ipc/table_client.h"
#include "proc/service.h"

static char (*class_of)(void);

static void prepare(void)
{
	table_client_setup();
	deliver_prepare("default_delivery_status_filter", conf->default_delivery_status_filter);
}

static void deliver(struct delivery *delivery)
{
	const char no_detail[] = { class_of(), '.', '0', '.', '0', '\0' };
	char status[DSN_STATUS_SIZE];
	struct deliver_outcome outcome;
	struct span reason;

	dsn_split(delivery->request.nexthop, no_detail, status, &reason);
	/* A code of the wrong class is one of a user who meant the detail. */
	status[0] = class_of();
	outcome = deliver_by_status(status, reason);
	deliver_report_all(delivery, &outcome);
}

static void serve(int fd, const char *client)
{
	static const struct deliver_agent agent = { .relay = "none", .deliver = deliver };

	deliver_serve(fd, client, &agent);
}

int fixed_main(int argc, char **argv, const char *name, char (*status_class)(void))
{
	const struct service_program program = {
		.name = name, .kind = SERVICE_WORKERS, .prepare = prepare, .serve = serve,
	};

	class_of = status_class;
	return service_main(argc, argv, &program);
}
