/* SPDX-License-Identifier: MIT */
/* Binding the services' sockets, as root; see sockets.h. Postfix: master(5), inet_interfaces. */

#include "master/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/port.h"
#include "net/tcp.h"
#include "proc/service.h"

enum { BACKLOG = 1024 };

void sockets_init(struct socket_set *set)
{
	list_init(&set->sockets);
}

static struct service_socket *find(struct socket_set *set, enum socket_kind kind, const char *key)
{
	LIST_FOR(item, &set->sockets) {
		struct service_socket *s = CONTAINER_OF(item, struct service_socket, link);

		if (s->kind == kind && strcmp(s->key, key) == 0)
			return s;
	}
	return NULL;
}

static struct service_socket *add(struct socket_set *set, enum socket_kind kind, const char *key,
				  const char *client, int fd)
{
	struct service_socket *s = NEW(struct service_socket);

	*s = (struct service_socket){ .kind = kind, .key = mem_dup_str(key),
				      .client = mem_dup_str(client), .fd = fd, .is_wanted = true };
	list_append(&set->sockets, &s->link);
	return s;
}

static int bind_unix(enum socket_kind kind, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int type = kind == SOCKET_UNIX_DGRAM ? SOCK_DGRAM
					     : kind == SOCKET_UNIX_STREAM ? SOCK_STREAM : SOCK_SEQPACKET;
	int fd, saved;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    (kind == SOCKET_UNIX_DGRAM || listen(fd, BACKLOG) == 0))
		return fd;
	saved = errno;
	(void)close(fd);
	errno = saved;
	return -1;
}

/* Open at both ends: so it is never at its end, and who writes never finds nobody there. */
static int make_fifo(const char *path)
{
	return mkfifo(path, 0600) == 0 ? open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW) : -1;
}

static int make_file(enum socket_kind kind, const char *path, mode_t mode, gid_t group,
		     struct stat *ret_made)
{
	int fd, saved;

	(void)unlink(path);
	fd = kind == SOCKET_FIFO ? make_fifo(path) : bind_unix(kind, path);
	if (fd < 0)
		return -1;
	if (chmod(path, mode) == 0 && lstat(path, ret_made) == 0 &&
	    (group == (gid_t)-1 || geteuid() != 0 || lchown(path, (uid_t)-1, group) == 0))
		return fd;
	saved = errno;
	(void)close(fd);
	errno = saved;
	return -1;
}

/* Whether the file is still there, and not another one of that name. */
static bool is_in_place(const struct service_socket *s)
{
	struct stat st;

	return lstat(s->key, &st) == 0 && st.st_dev == s->device && st.st_ino == s->file;
}

bool sockets_want_unix(struct socket_set *set, enum socket_kind kind, const char *path, mode_t mode,
		       gid_t group, const char *client, struct buf *error)
{
	struct service_socket *s = find(set, kind, path);
	struct stat made;
	int fd;

	if (s != NULL && is_in_place(s)) {
		s->is_wanted = true;
		return true;
	}
	fd = make_file(kind, path, mode, group, &made);
	if (fd < 0) {
		(void)buf_printf(error, "cannot make the %s %s: %s",
				 kind == SOCKET_FIFO ? "FIFO" : "socket", path, strerror(errno));
		return false;
	}
	s = add(set, kind, path, client, fd);
	s->device = made.st_dev;
	s->file = made.st_ino;
	return true;
}

/* "[2001:db8::1]:25": for keys and messages. */
static void address_text(const struct addrinfo *ai, char *text, size_t size)
{
	char host[64] = "?", port[16] = "?";

	(void)getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof(host), port, sizeof(port),
			  NI_NUMERICHOST | NI_NUMERICSERV);
	(void)snprintf(text, size, "[%s]:%s", host, port);
}

static struct clock_mono patience_end;

void sockets_be_patient(struct clock_mono until)
{
	patience_end = until;
}

/* bind(2) and listen(2); either says so when the address is still another's. */
static bool take_address(int fd, const struct addrinfo *ai)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };
	bool is_bound = false;

	for (;;) {
		is_bound = is_bound || bind(fd, ai->ai_addr, ai->ai_addrlen) == 0;
		if (is_bound && listen(fd, BACKLOG) == 0)
			return true;
		if (errno != EADDRINUSE || clock_is_past(patience_end))
			return false;
		(void)nanosleep(&pause, NULL);
	}
}

static int window_bytes;

void sockets_window(int bytes)
{
	window_bytes = bytes;
}

static int bind_inet(const struct addrinfo *ai)
{
	int one = 1;
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ai->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	tcp_set_window(fd, window_bytes);
	/* Replies are written whole: one that waits until a session ticket is acknowledged comes 40 ms late. */
	tcp_send_at_once(fd);
	if (take_address(fd, ai))
		return fd;

	int saved = errno;

	(void)close(fd);
	errno = saved;
	return -1;
}

static bool want_host(struct socket_set *set, const char *host, const char *port, int family,
		      struct buf *error)
{
	struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE };
	struct addrinfo *list;
	bool is_bound = true;
	int code = getaddrinfo(host, port, &hints, &list);

	if (code != 0) {
		(void)buf_printf(error, "cannot listen on %s port %s: %s",
				 host != NULL ? host : "any address", port, gai_strerror(code));
		return false;
	}
	for (struct addrinfo *ai = list; is_bound && ai != NULL; ai = ai->ai_next) {
		char key[96];
		struct service_socket *have;
		int fd;

		address_text(ai, key, sizeof(key));
		have = find(set, SOCKET_INET, key);
		if (have != NULL) {
			have->is_wanted = true;
			continue;
		}
		fd = bind_inet(ai);
		if (fd >= 0) {
			(void)add(set, SOCKET_INET, key, SERVICE_INET, fd);
		} else if (errno != EAFNOSUPPORT) {
			(void)buf_printf(error, "cannot listen on %s: %s", key, strerror(errno));
			is_bound = false;
		}
	}
	freeaddrinfo(list);
	return is_bound;
}

static int wanted_family(const char *protocols)
{
	bool v4 = strstr(protocols, "ipv4") != NULL, v6 = strstr(protocols, "ipv6") != NULL;

	if (v4 == v6)
		return AF_UNSPEC;
	return v4 ? AF_INET : AF_INET6;
}

static bool want_interfaces(struct socket_set *set, const char *port, const char *interfaces,
			    int family, struct buf *error)
{
	struct span rest = span_of(interfaces), word;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0) {
		bool is_wanted = true;

		if (span_is_nocase(word, "all")) {
			is_wanted = want_host(set, NULL, port, family, error);
		} else if (span_is_nocase(word, "loopback-only")) {
			is_wanted = (family == AF_INET6 ||
				     want_host(set, "127.0.0.1", port, AF_INET, error)) &&
				    (family == AF_INET || want_host(set, "::1", port, AF_INET6, error));
		} else {
			char *host = mem_dup(word);

			is_wanted = want_host(set, host, port, family, error);
			free(host);
		}
		if (!is_wanted)
			return false;
	}
	return true;
}

bool sockets_want_inet(struct socket_set *set, const char *where, const char *interfaces,
		       const char *protocols, const char *known_ports, struct buf *error)
{
	struct span text = span_of(where), host = { 0 }, port = text;
	int family = wanted_family(protocols);
	size_t at;

	if (span_rchr(text, ':', &at)) {
		host = span_first(text, at);
		port = span_from(text, at + 1);
		if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
			host = span_first(span_from(host, 1), host.n - 2);
	}

	char port_text[8], *host_text = mem_dup(host);
	uint16_t number;
	bool is_bound;

	if (!port_find(port, span_of(known_ports), &number)) {
		(void)buf_printf(error, "cannot listen on %s: unknown port \"%.*s\"", where,
				 SPAN_ARG(port));
		free(host_text);
		return false;
	}
	(void)snprintf(port_text, sizeof(port_text), "%u", number);
	is_bound = host.n > 0 ? want_host(set, host_text, port_text, AF_UNSPEC, error)
			      : want_interfaces(set, port_text, interfaces, family, error);

	free(host_text);
	return is_bound;
}

void sockets_mark(struct socket_set *set)
{
	LIST_FOR(item, &set->sockets)
		CONTAINER_OF(item, struct service_socket, link)->is_wanted = false;
}

void sockets_sweep(struct socket_set *set)
{
	LIST_FOR_SAFE(item, &set->sockets) {
		struct service_socket *s = CONTAINER_OF(item, struct service_socket, link);

		if (s->is_wanted)
			continue;
		list_remove(&s->link);
		if (s->kind != SOCKET_INET && is_in_place(s))
			(void)unlink(s->key);
		(void)close(s->fd);
		free(s->key);
		free(s->client);
		free(s);
	}
}
