/* SPDX-License-Identifier: MIT */
/* The control socket; see control.h. Runs in master, as root; only root can reach it. */

#include "master/control.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/event.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/channel.h"
#include "master/sockets.h"
#include "proc/service.h"

enum { CLIENTS_MAX = 8 };

/* Somebody who waits for the answer to a reload or stop. */
struct control {
	struct ipc_channel channel;
	struct event_fd watch;
	bool waits_for_ready, waits_for_end;
};

static struct {
	const struct control_handlers *handlers;
	struct socket_set sockets;
	struct event_fd watch;
	struct control clients[CLIENTS_MAX];
} self;

static void answer(struct control *control, unsigned code, const char *text)
{
	struct msg_status status = { .code = code, .text = span_first(span_of(text), 2000) };

	(void)!IPC_SEND(&control->channel, status, &status, -1, clock_in_ms(100));
	event_unwatch(&control->watch);
	ipc_close(&control->channel);
	*control = (struct control){ 0 };
	ipc_attach(&control->channel, -1);
}

static void on_request(struct control *control, const struct msg_service_event *request)
{
	struct buf error = BUF_INIT(4000);

	switch ((enum service_event_kind)request->event) {
	case EVENT_STATUS:
		answer(control, 0, "");
		break;
	case EVENT_RELOAD:
		if (self.handlers->reload(&error))
			control->waits_for_ready = true;
		else
			answer(control, 1, buf_str(&error));
		break;
	case EVENT_STOP:
		control->waits_for_end = true;
		self.handlers->stop(request->value != 0);
		break;
	case EVENT_READY:
	case EVENT_FAILED:
	case EVENT_RENEW:
	case EVENT_DRAIN:
	case EVENT_WAKEUP:
	case EVENT_KICK:
		answer(control, 1, "master does not do that");
		break;
	}
	buf_done(&error);
}

static void on_control_client(struct event_fd *watch, unsigned events)
{
	struct control *control = CONTAINER_OF(watch, struct control, watch);
	struct msg_service_event request;
	enum ipc_status status =
		IPC_EXPECT(&control->channel, service_event, &request, clock_in_ms(0));

	(void)events;
	if (status == IPC_OK)
		on_request(control, &request);
	else if (status != IPC_TIMEOUT)
		answer(control, 1, "what was that?");
}

static void on_control(struct event_fd *watch, unsigned events)
{
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	for (size_t i = 0; fd >= 0 && i < CLIENTS_MAX; i++) {
		if (ipc_is_open(&self.clients[i].channel))
			continue;
		ipc_attach(&self.clients[i].channel, fd);
		event_watch(&self.clients[i].watch, fd, EPOLLIN, on_control_client);
		return;
	}
	if (fd >= 0)
		(void)close(fd);
}

void control_open(const char *queue_directory, const struct control_handlers *handlers)
{
	struct buf error = BUF_INIT(1000);
	char *path = mem_printf("%s/private/master", queue_directory);

	self.handlers = handlers;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		ipc_attach(&self.clients[i].channel, -1);
	sockets_init(&self.sockets);
	if (!sockets_want_unix(&self.sockets, SOCKET_UNIX, path, 0600, (gid_t)-1, "", &error))
		fatal("%s", buf_str(&error));
	event_watch(&self.watch, CONTAINER_OF(self.sockets.sockets.next, struct service_socket, link)->fd,
		    EPOLLIN, on_control);
	free(path);
	buf_done(&error);
}

void control_close(void)
{
	event_unwatch(&self.watch);
	sockets_mark(&self.sockets);
	sockets_sweep(&self.sockets);
}

void control_reloaded(const char *error)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (self.clients[i].waits_for_ready)
			answer(&self.clients[i], *error != '\0', error);
}

void control_ended(void)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (self.clients[i].waits_for_end)
			answer(&self.clients[i], 0, "");
}
