/* SPDX-License-Identifier: MIT */
/*
 * Telling qmgr of new files. A hint that is lost costs nothing but time: the next one that gets
 * through asks qmgr to look for itself. Runs in cleanup's workers.
 */

#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "proc/service.h"

static struct ipc_channel qmgr = { .fd = -1 };
static bool is_hint_lost;

static bool send_hint(const char *queue_id, struct clock_mono deadline)
{
	struct msg_queue_new hint = { .queue_id = span_of(queue_id), .rescan = is_hint_lost };

	if (IPC_SEND(&qmgr, queue_new, &hint, -1, deadline) == IPC_OK)
		return true;
	ipc_close(&qmgr);
	return false;
}

void notify_qmgr(const char *queue_id)
{
	/* When qmgr falls behind, mail comes in no faster than this (postconf(5) in_flow_delay). */
	struct clock_mono deadline = clock_in_ms((int64_t)conf->in_flow_delay * 1000);

	if (ipc_is_open(&qmgr)) {
		if (send_hint(queue_id, deadline)) {
			is_hint_lost = false;
			return;
		}
		is_hint_lost = true; /* an older one may be lost with the connection */
	}

	int fd = service_connect(conf->queue_service_name, clock_in_ms(0));

	if (fd >= 0)
		ipc_attach(&qmgr, fd);
	is_hint_lost = fd < 0 || !send_hint(queue_id, deadline);
}
