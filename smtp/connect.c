/* SPDX-License-Identifier: MIT */
/* Connections to servers, within smtp_connect_timeout. */

#include "smtp.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/words.h"
#include "conf/conf.h"
#include "net/endpoint_connect.h"
#include "net/tcp.h"
#include "proc/service.h"

/* For the connect service, where smtp_connect_timeout is 0. */
enum { OUTSIDE_TIMEOUT_S = 60 };

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

static socklen_t make_address(const struct ip_addr *addr, uint16_t port, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (addr->family == IP_V6) {
		ret->v6.sin6_family = AF_INET6;
		ret->v6.sin6_port = htons(port);
		memcpy(&ret->v6.sin6_addr, addr->bytes, 16);
		return sizeof(ret->v6);
	}
	ret->v4.sin_family = AF_INET;
	ret->v4.sin_port = htons(port);
	memcpy(&ret->v4.sin_addr, addr->bytes, 4);
	return sizeof(ret->v4);
}

/* What a family is bound to; `name` is NULL when the kernel chooses. */
struct source {
	const char *name, *text; /* of the parameter */
	struct ip_addr addr;     /* family IP_NONE: malformed */
};

static struct source source4, source6;

static bool parse_source(struct span text, enum ip_family family, struct ip_addr *ret)
{
	if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = span_first(span_from(text, 1), text.n - 2);
	return ip_parse(text, ret) && ret->family == family;
}

static bool is_loopback(const struct ip_addr *addr)
{
	static const struct ip_addr loopback6 = { IP_V6, { [15] = 1 } };

	return addr->family == IP_V4 ? addr->bytes[0] == 127 : ip_equal(addr, &loopback6);
}

/*
 * smtp_bind_address (or the like for IPv6); without it, on a machine with several addresses, the
 * only one that inet_interfaces has in that family is where we are seen to come from.
 */
static void find_source(struct source *source, const char *name, const char *text,
			enum ip_family family)
{
	struct span rest = span_of(conf->inet_interfaces), word;
	struct ip_addr addr;
	unsigned count = 0;

	if (*text != '\0') {
		source->name = name;
		source->text = text;
		if (!parse_source(span_of(text), family, &source->addr))
			source->addr.family = IP_NONE;
		return;
	}
	while ((word = span_word(&rest, WORDS_BLANK_OR_COMMA)).n > 0) {
		if (!parse_source(word, family, &addr))
			continue;
		count++;
		source->addr = addr;
	}
	if (count == 1 && !is_loopback(&source->addr)) {
		source->name = "inet_interfaces";
		source->text = conf->inet_interfaces;
	}
}

void connect_prepare(void)
{
	find_source(&source4, is_lmtp ? "lmtp_bind_address" : "smtp_bind_address",
		    conf->smtp_bind_address, IP_V4);
	find_source(&source6, is_lmtp ? "lmtp_bind_address6" : "smtp_bind_address6",
		    conf->smtp_bind_address6, IP_V6);
}

/* False: it failed, and it must not. */
static bool bind_source(int fd, enum ip_family family, struct why *why)
{
	const struct source *source = family == IP_V6 ? &source6 : &source4;
	union address address;

	if (source->name == NULL)
		return true;
	errno = EINVAL;
	if (source->addr.family == family &&
	    bind(fd, &address.any, make_address(&source->addr, 0, &address)) == 0)
		return true;
	log_warn("%s: bind %s: %s", source->name, source->text, strerror(errno));
	why_set(why, "4.4.0", "server configuration error: %s %s", source->name, source->text);
	return !conf->smtp_bind_address_enforce;
}

/* 0, or the errno of a connection that failed. */
static int finish_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	int64_t limit_ms = (int64_t)conf->smtp_connect_timeout * 1000;
	struct clock_mono deadline = limit_ms > 0 ? clock_in_ms(limit_ms) : CLOCK_NEVER;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int ready, error = 0;
	socklen_t error_size = sizeof(error);

	if (connect(fd, address, size) == 0)
		return 0;
	if (errno != EINPROGRESS && errno != EINTR)
		return errno;
	do {
		ready = poll(&p, 1, clock_poll_ms(deadline));
	} while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return ETIMEDOUT;
	if (ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size) < 0)
		return errno;
	return error;
}

int connect_host(const struct host *host, struct why *why)
{
	union address address;
	socklen_t size = make_address(&host->addr, host->port, &address);
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[IP_TEXT_MAX];
	int error;

	if (fd >= 0)
		tcp_set_window(fd, conf->tcp_windowsize);
	if (fd >= 0 && !bind_source(fd, host->addr.family, why)) {
		(void)close(fd);
		return -1;
	}
	error = fd < 0 ? errno : finish_connect(fd, &address.any, size);
	if (error == 0) {
		/* What is written is complete: nothing is gained by waiting for more. */
		tcp_send_at_once(fd);
		return fd;
	}
	if (fd >= 0)
		(void)close(fd);
	(void)ip_text(&host->addr, text);
	why_set(why, "4.4.1", "connect to %.*s[%s]:%u: %s", SPAN_ARG(host->name), text, host->port,
		strerror(error));
	(void)buf_add(&why->remote_mta, host->name);
	log_info("%s", log_clean(buf_span(&why->reason)));
	return -1;
}

/* A descriptor, or -1 with errno. */
static int open_unix(struct span path)
{
	union address address = { .local = { .sun_family = AF_UNIX } };
	int fd, error;

	errno = ENAMETOOLONG;
	if (path.n >= sizeof(address.local.sun_path))
		return -1;
	memcpy(address.local.sun_path, path.p, path.n);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	error = finish_connect(fd, &address.any, sizeof(address.local));
	if (error == 0)
		return fd;
	(void)close(fd);
	errno = error;
	return -1;
}

/* The path is not in this program's jail: the connect service opens it, if it may. */
static int open_unix_outside(struct span text, uint64_t seal, struct buf *ret_reason)
{
	int limit_s = conf->smtp_connect_timeout > 0 ? conf->smtp_connect_timeout
						     : OUTSIDE_TIMEOUT_S;

	return endpoint_connect(text, seal, clock_in_ms((int64_t)limit_s * 1000), ret_reason);
}

int connect_unix(const struct target *target, uint64_t seal, struct why *why)
{
	/* Relative names are below the queue directory, where this program never stands. */
	bool is_here = !service.is_chrooted && span_starts(target->host, SPAN("/"));
	struct buf reason = BUF_INIT(1024);
	int fd = -1;

	if (is_here) {
		fd = open_unix(target->host);
		if (fd < 0)
			(void)buf_text(&reason, strerror(errno));
	}
	/* What this user must not reach without a jail either may be the mail owner's to reach. */
	if (fd < 0 && (!is_here || errno == EACCES)) {
		buf_reset(&reason);
		fd = open_unix_outside(target->text, seal, &reason);
	}
	if (fd < 0) {
		why_set(why, "4.4.1", "connect to %s[%.*s]: %s", conf->myhostname,
			SPAN_ARG(target->host), buf_str(&reason));
		(void)buf_text(&why->remote_mta, conf->myhostname);
	}
	buf_done(&reason);
	return fd;
}
