/* SPDX-License-Identifier: MIT */
/*
 * Outcomes of address probes go to verify(8), not to the logs of bounce: a probe is made once, and
 * nobody is told of it by mail.
 */

#include <stdlib.h>

#include "base/log.h"
#include "qmgr/qmgr.h"
#include "queue/envelope.h"

struct report {
	struct ask ask;
	struct message *message;
};

bool probe_is(const struct message *message)
{
	return (message->envelope.flags & ENVELOPE_PROBE) != 0;
}

static void on_reported(struct ask *ask, struct ipc_channel *channel)
{
	struct report *report = CONTAINER_OF(ask, struct report, ask);
	struct message *message = report->message;
	struct msg_status status;

	if (channel == NULL || !IPC_GET(channel, status, &status))
		log_warn("%s: %s service failure", message->id, conf->address_verify_service_name);
	message->appends--;
	free(report);
	message_progress(message);
}

static bool is_good(const struct msg_outcome *outcome)
{
	switch ((enum dsn_action)outcome->action) {
	case DSN_DELIVERED:
	case DSN_RELAYED:
	case DSN_EXPANDED:
	case DSN_DELIVERABLE: return true;
	case DSN_DELAYED:
	case DSN_FAILED:
	case DSN_UNDELIVERABLE: return false;
	}
	return false;
}

void probe_report(struct message *message, const struct msg_outcome *outcome)
{
	struct msg_verify_update update = {
		.address = outcome->orig_address.n > 0 ? outcome->orig_address : outcome->address,
		.is_deliverable = is_good(outcome),
		.status = outcome->status,
		.reason = outcome->reason,
	};
	struct report *report;

	/* An address with several aliases exists when one of them does. */
	if (message->is_probe_good && !update.is_deliverable)
		return;
	message->is_probe_good |= update.is_deliverable;
	report = NEW(struct report);
	report->message = message;
	message->appends++;
	ask_send(&report->ask, conf->address_verify_service_name, msg_verify_update_desc(), &update,
		 on_reported);
}
