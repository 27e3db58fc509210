/* SPDX-License-Identifier: MIT */
/*
 * Sending a probe: a message without content to one recipient, which cleanup and qmgr treat as mail, and
 * delivery agents only as a question. Nothing here waits: cleanup's answers are events.
 */

#include "services/verify/verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "ipc/submit.h"
#include "mail/probe_sender.h"
#include "proc/service.h"
#include "queue/envelope.h"

/* What waits for cleanup at one time; an address that is not probed now is asked for again. */
enum { PROBES_MAX = 100, CLEANUP_MS = 100000 };

struct probe {
	char *address;
	struct ipc_channel cleanup;
	struct event_fd watch;
	struct event_timer timer;
	bool is_sent;
};

static size_t probes;

static void probe_end(struct probe *probe)
{
	event_unwatch(&probe->watch);
	event_cancel(&probe->timer);
	ipc_close(&probe->cleanup);
	free(probe->address);
	free(probe);
	probes--;
}

static void on_time(struct event_timer *timer)
{
	struct probe *probe = CONTAINER_OF(timer, struct probe, timer);

	log_warn("no answer from the %s service", conf->cleanup_service_name);
	probe_end(probe);
}

static bool send_message(struct probe *probe)
{
	struct buf sender = BUF_INIT(1024);
	bool has_sender = probe_sender(&sender, span_of(conf->address_verify_sender),
				       conf->address_verify_sender_ttl, clock_wall_now());
	struct msg_envelope envelope = { .sender = buf_span(&sender),
					 .rewrite_context = SPAN("local"),
					 .flags = ENVELOPE_PROBE };
	struct span address = span_of(probe->address);
	/* The original address is what the outcome is reported for, whatever becomes of it. */
	struct msg_rcpt rcpt = { .address = address, .orig_address = address };
	struct submit_start start = { .envelope = &envelope, .rcpt = &rcpt,
				      .options = SUBMIT_NO_HEADER_BODY_CHECKS | SUBMIT_NO_BCC |
						 SUBMIT_NO_MILTERS | SUBMIT_NO_RECEIVED |
						 SUBMIT_INTERNAL };
	struct clock_mono now = clock_in_ms(0);
	/* All fits any socket buffer: there is no waiting. */
	bool is_sent = has_sender && submit_open(&probe->cleanup, &start, now) &&
		       submit_bytes(&probe->cleanup, (struct span){ NULL, 0 }, true, now);

	buf_done(&sender);
	return is_sent;
}

/* cleanup is ready, and then it is done. */
static void on_cleanup(struct event_fd *watch, unsigned events)
{
	struct probe *probe = CONTAINER_OF(watch, struct probe, watch);
	struct msg_submit_ready ready;
	struct msg_submit_done done;
	enum ipc_status status;

	(void)events;
	status = probe->is_sent
			 ? submit_answer(&probe->cleanup, &done, clock_in_ms(0))
			 : IPC_EXPECT(&probe->cleanup, submit_ready, &ready, clock_in_ms(0));
	if (status == IPC_TIMEOUT)
		return;
	if (status == IPC_OK && !probe->is_sent) {
		probe->is_sent = true;
		if (send_message(probe))
			return;
		status = IPC_BROKEN;
	}
	if (status != IPC_OK || done.result != SUBMIT_OK)
		log_warn("a probe could not be handed to the %s service",
			 conf->cleanup_service_name);
	probe_end(probe);
}

bool probe_send(struct span address)
{
	struct probe *probe;
	int fd;

	if (probes >= PROBES_MAX)
		return false;
	fd = service_connect(conf->cleanup_service_name, clock_in_ms(0));
	if (fd < 0) {
		log_warn("cannot reach the %s service: %s", conf->cleanup_service_name,
			 strerror(errno));
		return false;
	}
	probes++;
	probe = NEW(struct probe);
	probe->address = mem_dup(address);
	ipc_attach(&probe->cleanup, fd);
	event_watch(&probe->watch, fd, EPOLLIN, on_cleanup);
	event_at(&probe->timer, clock_in_ms(CLEANUP_MS), on_time);
	return true;
}
