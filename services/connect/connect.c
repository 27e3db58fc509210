/* SPDX-License-Identifier: MIT */
/*
 * connect: opens connections to the servers that main.cf and master.cf name (policy servers,
 * sockets of LMTP servers), for programs in a jail, and hands the descriptors over. So a socket
 * may live anywhere, and none must be moved into the queue directory.
 *
 * Runs as uid queue with the groups of that user, so that an administrator lets it reach a socket as
 * he lets anybody: "adduser postern opendkim". It is not chrooted and can open no file. What a client
 * says is compared with the configured texts, and used for nothing else; but lmtp, whose next hops may
 * come from tables, gets any socket that stands in the queue directory's private/, and those that
 * qmgr has sealed for it. Manual: connect(8).
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/snapshot.h"
#include "ipc/channel.h"
#include "net/dns.h"
#include "net/endpoint.h"
#include "proc/service.h"

enum { ENDPOINTS_MAX = 1000, REQUEST_MS = 10000 };

struct server {
	struct span text;
	struct endpoint endpoint;
	uint16_t port;
};

static struct server *servers;
static size_t server_count;
static struct siphash_key seal_key;
static bool has_seal_key;

/* ---- start: the list, as root, since names of ports are in a file ---- */

static bool find_port(struct span text, uint16_t *ret)
{
	uint64_t number;
	char *name;
	const struct servent *entry;

	if (span_u64(text, 65535, &number)) {
		*ret = (uint16_t)number;
		return number > 0;
	}
	name = mem_dup(text);
	entry = getservbyname(name, "tcp");
	free(name);
	if (entry != NULL)
		*ret = ntohs((uint16_t)entry->s_port);
	return entry != NULL;
}

static void add_server(struct span text)
{
	struct server server = { .text = text };

	if (server_count == ENDPOINTS_MAX)
		return;
	if (!endpoint_parse(text, &server.endpoint) ||
	    (!server.endpoint.is_unix && !find_port(server.endpoint.port, &server.port))) {
		log_warn("no server to connect to: %.*s", SPAN_ARG(text));
		return;
	}
	servers = mem_resize(servers, (server_count + 1) * sizeof(*servers));
	servers[server_count++] = server;
}

static void prepare(void)
{
	struct span list = { NULL, 0 }, secret, word;

	has_seal_key = conf_snapshot_extra_get("secret", &secret) && secret.n > 0;
	if (has_seal_key)
		seal_key = endpoint_seal_key(secret);
	(void)conf_snapshot_extra_get("endpoints", &list);
	list = span_of(mem_dup(list));
	while ((word = span_word(&list, " ")).n > 0)
		add_server(word);
}

/* ---- connecting ---- */

/* Waits for a connection that was begun. 0, or an errno. */
static int wait_connected(int fd, struct clock_mono deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int error = 0, ready;
	socklen_t size = sizeof(error);

	do {
		ready = poll(&p, 1, clock_poll_ms(deadline));
	} while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? errno : error;
}

/* A descriptor, or -1 with errno. */
static int open_address(const struct sockaddr *address, socklen_t size, int type,
			struct clock_mono deadline)
{
	int fd = socket(address->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error = 0;

	if (fd < 0)
		return -1;
	if (connect(fd, address, size) < 0)
		error = errno == EINPROGRESS ? wait_connected(fd, deadline) : errno;
	if (error == 0)
		return fd;
	(void)close(fd);
	errno = error;
	return -1;
}

static int open_unix(struct span path, int type, struct clock_mono deadline)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (path.n >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path.p, path.n);
	return open_address((const struct sockaddr *)&address, sizeof(address), type, deadline);
}

static int open_ip(const struct ip_addr *ip, uint16_t port, struct clock_mono deadline)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	if (ip->family == IP_V4) {
		memcpy(&v4.sin_addr, ip->bytes, sizeof(v4.sin_addr));
		return open_address((const struct sockaddr *)&v4, sizeof(v4), SOCK_STREAM, deadline);
	}
	memcpy(&v6.sin6_addr, ip->bytes, sizeof(v6.sin6_addr));
	return open_address((const struct sockaddr *)&v6, sizeof(v6), SOCK_STREAM, deadline);
}

/* The addresses of a name, one after the other. */
static int open_host(struct span host, uint16_t port, struct clock_mono deadline)
{
	static const enum dns_type types[] = { DNS_A, DNS_AAAA };
	struct dns_result result = { 0 };
	struct ip_addr ip;
	int fd = -1;

	if (ip_parse(host, &ip))
		return open_ip(&ip, port, deadline);
	errno = EHOSTUNREACH;
	for (size_t i = 0; fd < 0 && i < ARRAY_LEN(types); i++) {
		if (dns_lookup(host, types[i], DNS_WITH_HOSTS, deadline, &result) != DNS_FOUND)
			continue;
		for (size_t k = 0; fd < 0 && k < result.count; k++)
			if (ip_parse(result.records[k].host, &ip))
				fd = open_ip(&ip, port, deadline);
	}

	int error = errno;

	dns_result_done(&result);
	errno = error;
	return fd;
}

static int open_server(const struct server *server, struct clock_mono deadline)
{
	return server->endpoint.is_unix
		       ? open_unix(server->endpoint.path,
				   server->endpoint.is_dgram ? SOCK_DGRAM : SOCK_STREAM,
				   deadline)
		       : open_host(server->endpoint.host, server->port, deadline);
}

/* ---- requests ---- */

/* private/NAME, also with the queue directory before it. NAME leads nowhere else. */
static bool is_private(struct span path)
{
	struct span directory = span_of(service.queue_directory), name = path;

	if (span_starts(name, directory) && name.n > directory.n && name.p[directory.n] == '/')
		name = span_from(name, directory.n + 1);
	if (!span_starts(name, SPAN("private/")))
		return false;
	name = span_from(name, 8);
	return name.n > 0 && name.p[0] != '.' && memchr(name.p, '/', name.n) == NULL;
}

/* False: `client` may not have this one. */
static bool find_server(const struct msg_connect_request *request, const char *client,
			struct server *ret)
{
	struct span text = request->endpoint;

	for (size_t i = 0; i < server_count; i++) {
		if (span_eq(servers[i].text, text)) {
			*ret = servers[i];
			return true;
		}
	}
	*ret = (struct server){ .text = text };
	return strcmp(client, "lmtp") == 0 && endpoint_parse(text, &ret->endpoint) &&
	       ret->endpoint.is_unix &&
	       (is_private(ret->endpoint.path) ||
		(has_seal_key && request->seal == endpoint_seal(&seal_key, text)));
}

/* One request a connection: it takes as long as the server does. */
static void serve(int fd, const char *client)
{
	struct ipc_channel channel;
	struct msg_connect_request request;
	struct msg_status status = { .code = 0 };
	struct server server;
	int server_fd = -1;

	ipc_attach(&channel, fd);
	if (IPC_EXPECT(&channel, connect_request, &request, clock_in_ms(REQUEST_MS)) == IPC_OK) {
		if (!find_server(&request, client, &server)) {
			log_warn("%s asks for a server that the configuration does not name: %s",
				 client, log_clean(request.endpoint));
			status.code = EPERM;
			status.text = SPAN("not a server that main.cf or master.cf names");
		} else {
			server_fd = open_server(&server, clock_in_ms(request.timeout_ms));
			if (server_fd < 0) {
				status.code = (uint32_t)errno;
				status.text = span_of(strerror(errno));
			}
		}
		(void)!IPC_SEND(&channel, status, &status, server_fd, clock_in_ms(REQUEST_MS));
	}
	if (server_fd >= 0)
		(void)close(server_fd);
	ipc_close(&channel);
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "connect",
		.kind = SERVICE_WORKERS,
		.prepare = prepare,
		.serve = serve,
	};

	return service_main(argc, argv, &program);
}
