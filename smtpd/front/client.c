/* SPDX-License-Identifier: MIT */
/*
 * Connections from their accept to the first line that the client sends: RFC 5321 3.1,
 * postconf(5) smtpd_banner, smtpd_timeout, smtpd_tls_wrappermode.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "proc/seldom.h"
#include "proc/service.h"
#include "smtpd/front/front.h"

enum {
	PEEK_BYTES = 4096,  /* more than this without a line end is a worker's problem */
	SPARE_FDS = 64,     /* for what is no client */
	CLIENTS_LEAST = 100,
};

static struct {
	struct list silent; /* since longest first */
	size_t count, limit;
	bool must_greet;    /* the greeting is the same for every client */
	bool has_tls;       /* the client speaks first, and in TLS */
	bool has_proxy;
	struct buf greeting;
	struct seldom *advised; /* of the limit */
} self;

static bool is_blank(const char *list)
{
	return list[strspn(list, " ,\t\r\n")] == '\0';
}

/* Each client may need two descriptors: its socket, and the connection to its worker. */
static size_t room_for_clients(void)
{
	struct rlimit files = { .rlim_cur = 1024 };
	size_t workers = service.maxproc > 0 ? (size_t)service.maxproc : 0;

	(void)getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < workers + SPARE_FDS + CLIENTS_LEAST)
		return CLIENTS_LEAST;
	return (size_t)files.rlim_cur - workers - SPARE_FDS;
}

/* One reply line, whatever was put into it. */
static void set_line(struct buf *out, const char *code, const char *text)
{
	(void)buf_printf(out, "%s %s", code, text);
	for (size_t i = 0; i < out->length; i++)
		if ((unsigned char)out->data[i] < ' ' || out->data[i] == 0x7f)
			out->data[i] = '?';
	(void)buf_text(out, "\r\n");
}

void clients_setup(void)
{
	list_init(&self.silent);
	self.limit = room_for_clients();
	self.advised = seldom_new(1);
	self.has_tls = conf->smtpd_tls_wrappermode;
	self.has_proxy = strcmp(conf->smtpd_upstream_proxy_protocol, "haproxy") == 0;
	/* Restrictions and milters at connect may say something else than 220. */
	self.must_greet = !self.has_tls && is_blank(conf->smtpd_milters) &&
			  is_blank(conf->smtpd_milter_maps) &&
			  (conf->smtpd_delay_reject || is_blank(conf->smtpd_client_restrictions));
	buf_init(&self.greeting, 2048);
	set_line(&self.greeting, "220", conf->smtpd_banner);
}

const char *client_text(const struct client *client)
{
	static char text[IP_TEXT_MAX + 24];
	char addr[IP_TEXT_MAX];

	(void)ip_text(&client->addr, addr);
	if (conf->smtpd_client_port_logging)
		(void)snprintf(text, sizeof(text), "unknown[%s]:%u", addr, client->port);
	else
		(void)snprintf(text, sizeof(text), "unknown[%s]", addr);
	return text;
}

bool clients_are_silent(void)
{
	return !list_is_empty(&self.silent);
}

void client_free(struct client *client)
{
	pool_forget(client);
	event_unwatch(&client->watch);
	event_cancel(&client->timer);
	list_remove(&client->link);
	if (client->peer != NULL)
		peer_leave(client->peer);
	(void)close(client->watch.fd);
	free(client->proxied);
	free(client);
	self.count--;
	front_check_end();
}

/* What does not fit into an empty socket buffer is lost on a client that does not read. */
static void say(struct client *client, struct span text)
{
	(void)!send(client->watch.fd, text.p, text.n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void client_refuse(struct client *client, const char *status, const char *text)
{
	struct buf line = BUF_INIT(2048);
	char *rest = mem_printf("%s %s Error: %s", status, conf->myhostname, text);

	set_line(&line, "421", rest);
	if (!self.has_tls)
		say(client, buf_span(&line));
	free(rest);
	buf_done(&line);
	(void)shutdown(client->watch.fd, SHUT_WR);
	client_free(client);
}

bool clients_make_room(const char *status, const char *text)
{
	if (list_is_empty(&self.silent))
		return false;
	front_counts.made_room++;
	client_refuse(CONTAINER_OF(self.silent.next, struct client, link), status, text);
	return true;
}

/* ---- until there is a line ---- */

static void on_silent_too_long(struct event_timer *timer)
{
	front_counts.timed_out++;
	client_refuse(CONTAINER_OF(timer, struct client, timer), "4.4.2", "timeout exceeded");
}

/* Edge-triggered: a part of a line is looked at once, not in every round. */
static void on_input(struct event_fd *watch, unsigned events)
{
	struct client *client = CONTAINER_OF(watch, struct client, watch);
	char bytes[PEEK_BYTES] NOT_CLEARED;
	ssize_t size = recv(watch->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (size <= 0) {
		front_counts.hung_up++;
		client_free(client);
	} else if (self.has_tls || size == (ssize_t)sizeof(bytes) ||
		   (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 ||
		   memchr(bytes, '\n', (size_t)size) != NULL) {
		pool_offer(client);
	}
}

static void wait_for_line(struct client *client)
{
	list_append(&self.silent, &client->link);
	event_at(&client->timer, clock_in_ms((int64_t)conf->smtpd_timeout * 1000),
		 on_silent_too_long);
	event_watch(&client->watch, client->watch.fd, EPOLLIN | EPOLLRDHUP | EPOLLET, on_input);
}

void client_arrived(struct client *client)
{
	client->peer = peer_enter(client);
	if (!bans_admit(client) || !peers_admit(client))
		return;
	/* Tests of clients that must not have spoken yet have their place here. */
	if (client->is_limited || (!self.must_greet && !self.has_tls)) {
		pool_offer(client);
		return;
	}
	if (self.must_greet) {
		client->was_greeted = true;
		say(client, buf_span(&self.greeting));
	}
	wait_for_line(client);
}

/* ---- behind a proxy ---- */

static void on_no_header(struct event_timer *timer)
{
	struct client *client = CONTAINER_OF(timer, struct client, timer);

	log_warn("haproxy read: timeout error, from %s", client_text(client));
	client_refuse(client, "4.3.2", "no PROXY header");
}

static void on_header(struct event_fd *watch, unsigned events)
{
	struct client *client = CONTAINER_OF(watch, struct client, watch);
	char bytes[PROXY_HEADER_MAX];
	ssize_t size = recv(watch->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	struct proxied found = { .client_addr = "" };
	size_t header_size = 0;
	enum proxy_status status;

	if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	status = size <= 0 ? PROXY_BAD
			   : proxy_parse((struct span){ bytes, (size_t)size }, &found, &header_size);
	if (status == PROXY_MORE && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0)
		return;
	if (status == PROXY_BAD || status == PROXY_MORE ||
	    recv(watch->fd, bytes, header_size, MSG_DONTWAIT) != (ssize_t)header_size) {
		log_warn("haproxy read: malformed header, from %s", client_text(client));
		client_refuse(client, "4.3.2", "malformed PROXY header");
		return;
	}
	event_unwatch(watch);
	event_cancel(&client->timer);
	list_remove(&client->link);
	if (status == PROXY_CLIENT) {
		client->proxied = NEW(struct proxied);
		*client->proxied = found;
		(void)!ip_parse(span_of(found.client_addr), &client->addr);
		client->port = (uint16_t)strtoul(found.client_port, NULL, 10);
	}
	client_arrived(client);
}

static void wait_for_header(struct client *client)
{
	list_append(&self.silent, &client->link);
	event_at(&client->timer, clock_in_ms((int64_t)conf->smtpd_upstream_proxy_timeout * 1000),
		 on_no_header);
	event_watch(&client->watch, client->watch.fd, EPOLLIN | EPOLLRDHUP | EPOLLET, on_header);
}

void client_new(int fd)
{
	struct sockaddr_storage from = { 0 };
	socklen_t size = sizeof(from);
	struct client *client;
	unsigned port = 0;
	struct ip_addr addr;

	/* One that is gone already is no client. */
	if (getpeername(fd, (struct sockaddr *)&from, &size) < 0 ||
	    !ip_from_sockaddr((const struct sockaddr *)&from, &addr, &port)) {
		(void)close(fd);
		return;
	}
	if (self.count >= self.limit && seldom_is_due(self.advised, 0))
		log_warn("service \"%s\" has %zu clients, all that its descriptors are enough for: who has been "
			 "silent for longest is told to come again; start master with a higher limit of open "
			 "files (RLIMIT_NOFILE, LimitNOFILE= of systemd)",
			 service.name, self.count);
	if (self.count >= self.limit)
		(void)clients_make_room("4.3.2", "server is busy, try again later");
	client = NEW(struct client);
	client->watch.fd = fd;
	client->addr = addr;
	client->port = (uint16_t)port;
	self.count++;
	if (self.count > self.limit)
		client_refuse(client, "4.3.2", "server is busy, try again later");
	else if (self.has_proxy)
		wait_for_header(client);
	else
		client_arrived(client);
}
