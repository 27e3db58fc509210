/* SPDX-License-Identifier: MIT */
/*
 * Packets to DNS servers and back, by c-ares under our event loop: retransmission, the next
 * server after a failure, TCP after a truncated answer. c-ares checks that a reply comes from the
 * server asked and repeats id and question; what is in it is read by lib/net/dns_wire.c alone.
 */

#include <ares.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/event.h"
#include "base/log.h"
#include "base/mem.h"
#include "dns.h"

/* A socket of c-ares. */
struct carrier_socket {
	struct list link;
	struct event_fd watch;
};

struct errand {
	carrier_fn *on_reply;
	void *context;
};

static struct {
	ares_channel channel;
	bool is_trusted;
	struct list sockets;
	struct event_timer timer;
} carrier;

static void on_timer(struct event_timer *timer);

static void set_timer(void)
{
	struct timeval wait;

	if (ares_timeout(carrier.channel, NULL, &wait) == NULL)
		event_cancel(&carrier.timer);
	else
		event_at(&carrier.timer, clock_in_ms(wait.tv_sec * 1000 + wait.tv_usec / 1000 + 1),
			 on_timer);
}

static void on_timer(struct event_timer *timer)
{
	(void)timer;
	ares_process_fd(carrier.channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer();
}

static void on_socket(struct event_fd *watch, unsigned events)
{
	int fd = watch->fd;
	bool is_readable = (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;

	ares_process_fd(carrier.channel, is_readable ? fd : ARES_SOCKET_BAD,
			(events & EPOLLOUT) != 0 ? fd : ARES_SOCKET_BAD);
	set_timer();
}

static struct carrier_socket *find_socket(int fd)
{
	LIST_FOR(item, &carrier.sockets) {
		struct carrier_socket *found = CONTAINER_OF(item, struct carrier_socket, link);

		if (found->watch.fd == fd)
			return found;
	}
	return NULL;
}

/* c-ares wants to know when `fd` can be read or written; neither: it is about to be closed. */
static void on_socket_state(void *context, ares_socket_t fd, int wants_read, int wants_write)
{
	struct carrier_socket *found = find_socket(fd);
	unsigned events = (wants_read ? (unsigned)EPOLLIN : 0) |
			  (wants_write ? (unsigned)EPOLLOUT : 0);

	(void)context;
	if (found == NULL) {
		found = NEW(struct carrier_socket);
		list_append(&carrier.sockets, &found->link);
	}
	if (events != 0) {
		event_watch(&found->watch, fd, events, on_socket);
		return;
	}
	event_unwatch(&found->watch);
	list_remove(&found->link);
	free(found);
}

static void set_servers(const struct resolv_conf *conf)
{
	struct buf list = BUF_INIT(1024);
	char text[IP_TEXT_MAX];
	int status;

	for (size_t i = 0; i < conf->server_count; i++)
		(void)buf_printf(&list, conf->servers[i].family == IP_V6 ? "%s[%.*s]:53"
										: "%s%.*s:53",
				 i > 0 ? "," : "",
				 SPAN_ARG(ip_text(&conf->servers[i], text)));
	status = ares_set_servers_ports_csv(carrier.channel, buf_str(&list));
	if (status != ARES_SUCCESS)
		fatal("dns servers %s: %s", buf_str(&list), ares_strerror(status));
	buf_done(&list);
}

void carrier_prepare(const struct resolv_conf *conf)
{
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.ednspsz = DNS_EDNS_BYTES,
		.timeout = (int)conf->timeout_s * 1000,
		.tries = (int)conf->attempts,
		.sock_state_cb = on_socket_state,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
		   ARES_OPT_SOCK_STATE_CB |
		   (conf->does_rotate ? ARES_OPT_ROTATE : ARES_OPT_NOROTATE);
	int status = ares_library_init(ARES_LIB_INIT_ALL);

	if (status == ARES_SUCCESS)
		status = ares_init_options(&carrier.channel, &options, mask);
	if (status != ARES_SUCCESS)
		fatal("c-ares: %s", ares_strerror(status));
	list_init(&carrier.sockets);
	carrier.is_trusted = conf->is_trusted;
	set_servers(conf);
}

bool carrier_is_trusted(void)
{
	return carrier.is_trusted;
}

static void on_reply(void *context, int status, int timeouts, unsigned char *data, int size)
{
	struct errand errand = *(struct errand *)context;
	struct span packet = { NULL, 0 };

	(void)timeouts;
	free(context);
	if (status == ARES_SUCCESS && size > 0)
		packet = (struct span){ (const char *)data, (size_t)size };
	errand.on_reply(errand.context, packet,
			status == ARES_ETIMEOUT ? DNS_FAIL_TIMEOUT : DNS_FAIL_SERVER);
}

void carrier_send(struct span packet, carrier_fn *on_answer, void *context)
{
	struct errand *errand = NEW(struct errand);

	errand->on_reply = on_answer;
	errand->context = context;
	ares_send(carrier.channel, (const unsigned char *)packet.p, (int)packet.n, on_reply, errand);
	set_timer();
}
