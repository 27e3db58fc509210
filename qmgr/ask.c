/* SPDX-License-Identifier: MIT */
/*
 * Questions of qmgr to bounce, defer, trace, flush and proxymap. Each service has a few
 * connections; a question takes an idle one or a new one, or waits in a row. A connection
 * serves one question at a time and is closed when nobody needs it for ipc_idle.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "conf/conf.h"
#include "proc/service.h"
#include "qmgr/qmgr.h"

enum { LINES_MAX = 8, RETRY_MS = 1000, PATIENCE_MS = 60000 };

/* A connection to a service. */
struct line {
	struct list link; /* of the service's idle ones */
	struct helper *helper;
	struct ipc_channel channel;
	struct event_fd watch;
	struct event_timer timer;
	struct ask *ask; /* NULL: idle */
};

struct helper {
	struct list waiting; /* asks */
	struct list idle;    /* lines */
	size_t line_count;
	struct event_timer retry_timer;
	struct clock_mono failing_since; /* no connection since then; us 0: all is well */
	char *name;
};

static struct htab helpers;

static void serve(struct helper *helper);

static struct helper *helper_get(const char *name)
{
	struct helper *helper = htab_get(&helpers, span_of(name));

	if (helper == NULL) {
		helper = NEW(struct helper);
		list_init(&helper->waiting);
		list_init(&helper->idle);
		helper->name = mem_dup_str(name);
		(void)htab_put(&helpers, span_of(name), helper);
	}
	return helper;
}

static void line_close(struct line *line)
{
	list_remove(&line->link);
	event_cancel(&line->timer);
	event_unwatch(&line->watch);
	ipc_close(&line->channel);
	line->helper->line_count--;
	free(line);
}

static void end_ask(struct ask *ask, struct ipc_channel *answer)
{
	buf_done(&ask->packet);
	ask->on_done(ask, answer);
}

static void on_idle_time(struct event_timer *timer)
{
	line_close(CONTAINER_OF(timer, struct line, timer));
}

static void on_silence(struct event_timer *timer)
{
	struct line *line = CONTAINER_OF(timer, struct line, timer);
	struct helper *helper = line->helper;
	struct ask *ask = line->ask;

	log_warn("service %s: no answer in %d seconds", helper->name, conf->qmgr_ipc_timeout);
	line_close(line);
	end_ask(ask, NULL);
	serve(helper);
}

static void on_answer(struct event_fd *watch, unsigned events)
{
	struct line *line = CONTAINER_OF(watch, struct line, watch);
	struct helper *helper = line->helper;
	struct ask *ask = line->ask;
	enum ipc_status status;

	(void)events;
	errno = 0;
	status = ipc_recv(&line->channel, clock_in_ms(0));
	if (status == IPC_TIMEOUT)
		return;
	if (status != IPC_OK || ask == NULL) {
		bool was_unread = status == IPC_CLOSED && errno == ECONNRESET;

		line_close(line);
		if (ask != NULL && was_unread) {
			/* The worker ended before it saw the question: another one will. */
			list_prepend(&helper->waiting, &ask->link);
		} else if (ask != NULL) {
			log_warn("service %s closed the connection without an answer",
				 helper->name);
			end_ask(ask, NULL);
		}
		serve(helper);
		return;
	}
	line->ask = NULL;
	list_prepend(&helper->idle, &line->link);
	event_at(&line->timer, clock_in_ms((int64_t)conf->ipc_idle * 1000), on_idle_time);
	end_ask(ask, &line->channel);
	serve(helper);
}

static struct line *line_open(struct helper *helper)
{
	struct line *line;
	int fd = -1;

	if (helper->line_count < LINES_MAX)
		fd = service_connect(helper->name, clock_in_ms(0));
	if (fd < 0)
		return NULL;
	line = NEW(struct line);
	line->helper = helper;
	list_init(&line->link);
	helper->line_count++;
	ipc_attach(&line->channel, fd);
	event_watch(&line->watch, fd, EPOLLIN, on_answer);
	return line;
}

static void on_retry(struct event_timer *timer)
{
	serve(CONTAINER_OF(timer, struct helper, retry_timer));
}

/* Nobody listens: wait a little for the service to come, then say that there is no answer. */
static void on_no_line(struct helper *helper)
{
	if (helper->line_count > 0)
		return; /* the next answer brings it forward */
	if (helper->failing_since.us == 0)
		helper->failing_since = clock_mono_now();
	if (clock_is_past(clock_add_ms(helper->failing_since, PATIENCE_MS))) {
		struct list failed;

		log_warn("connect to service %s: no luck in %d seconds", helper->name,
			 PATIENCE_MS / 1000);
		helper->failing_since.us = 0;
		/* What is asked from within these endings waits for the next round. */
		list_init(&failed);
		while (!list_is_empty(&helper->waiting)) {
			struct list *first = helper->waiting.next;

			list_remove(first);
			list_append(&failed, first);
		}
		while (!list_is_empty(&failed)) {
			struct ask *ask = CONTAINER_OF(failed.next, struct ask, link);

			list_remove(&ask->link);
			end_ask(ask, NULL);
		}
	}
	if (!list_is_empty(&helper->waiting) && !event_is_set(&helper->retry_timer))
		event_at(&helper->retry_timer, clock_in_ms(RETRY_MS), on_retry);
}

static bool send_packet(struct line *line, struct ask *ask)
{
	return send(line->channel.fd, ask->packet.data, ask->packet.length,
		    MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static void serve(struct helper *helper)
{
	while (!list_is_empty(&helper->waiting)) {
		struct ask *ask = CONTAINER_OF(helper->waiting.next, struct ask, link);
		bool is_new = list_is_empty(&helper->idle);
		struct line *line = is_new ? line_open(helper)
					   : CONTAINER_OF(helper->idle.next, struct line, link);

		if (line == NULL) {
			on_no_line(helper);
			return;
		}
		helper->failing_since.us = 0;
		list_remove(&line->link);
		if (!send_packet(line, ask)) {
			/* An idle worker may have gone: the next one, or a new one, will do. */
			line_close(line);
			if (is_new) {
				on_no_line(helper);
				return;
			}
			continue;
		}
		list_remove(&ask->link);
		line->ask = ask;
		event_at(&line->timer, clock_in_ms((int64_t)conf->qmgr_ipc_timeout * 1000),
			 on_silence);
	}
}

void ask_send(struct ask *ask, const char *service_name, const struct ipc_desc *desc,
	      const void *message, ask_done_fn *on_done)
{
	struct helper *helper = helper_get(service_name);

	buf_init(&ask->packet, IPC_PACKET_MAX);
	if (!ipc_encode(&ask->packet, desc, message))
		panic("a question to %s does not fit its limits", service_name);
	ask->on_done = on_done;
	list_append(&helper->waiting, &ask->link);
	serve(helper);
}
