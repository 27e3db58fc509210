/* SPDX-License-Identifier: MIT */
/* Who is at the other end: address, and the name that PTR and address records agree on. */

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "conf/conf.h"
#include "mail/domain.h"
#include "net/dns.h"
#include "smtpd/session.h"

enum { LOOKUP_MS = 30000 };

/* Numeric text of an address; IPv4 that came over IPv6 is shown as IPv4. */
static void address_text(const struct sockaddr_storage *from, char *addr, size_t addr_size,
			 char *port, size_t port_size)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)from;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)from;
	unsigned number = 0;

	(void)snprintf(addr, addr_size, "unknown");
	if (from->ss_family == AF_INET6) {
		number = ntohs(v6->sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
			(void)inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, addr,
					(socklen_t)addr_size);
		else
			(void)inet_ntop(AF_INET6, &v6->sin6_addr, addr, (socklen_t)addr_size);
	} else if (from->ss_family == AF_INET) {
		number = ntohs(v4->sin_port);
		(void)inet_ntop(AF_INET, &v4->sin_addr, addr, (socklen_t)addr_size);
	}
	(void)snprintf(port, port_size, "%u", number);
}

static enum peer_status from_dns(enum dns_status status)
{
	switch (status) {
	case DNS_FOUND: return PEER_OK;
	case DNS_TEMPORARY: return PEER_TEMPORARY;
	case DNS_NO_NAME:
	case DNS_NO_DATA:
	case DNS_INVALID: return PEER_PERMANENT;
	}
	return PEER_PERMANENT;
}

/* Whether the name has the address we started from. */
static enum peer_status confirm(struct peer *peer, struct dns_result *result)
{
	bool is_v6 = strchr(peer->addr, ':') != NULL;
	enum dns_status status = dns_lookup(span_of(peer->reverse_name), is_v6 ? DNS_AAAA : DNS_A,
					    DNS_WITH_HOSTS, clock_in_ms(LOOKUP_MS), result);

	if (status != DNS_FOUND)
		return from_dns(status);
	for (size_t i = 0; i < result->count; i++)
		if (span_is(result->records[i].host, peer->addr))
			return PEER_OK;
	return PEER_FORGED;
}

static void find_names(struct peer *peer)
{
	struct dns_result result = { 0 };
	struct buf name = BUF_INIT(256);
	enum dns_status status;

	if (!dns_reverse_name(span_of(peer->addr), &name)) {
		buf_done(&name);
		return;
	}
	status = dns_lookup(buf_span(&name), DNS_PTR, DNS_WITH_HOSTS, clock_in_ms(LOOKUP_MS),
			    &result);
	peer->name_status = peer->reverse_status = from_dns(status);
	if (status == DNS_FOUND && result.count > 0 &&
	    result.records[0].host.n < sizeof(peer->reverse_name) &&
	    domain_check_name(result.records[0].host, false) == DOMAIN_OK) {
		(void)snprintf(peer->reverse_name, sizeof(peer->reverse_name), "%.*s",
			       SPAN_ARG(result.records[0].host));
		peer->name_status = confirm(peer, &result);
		if (peer->name_status == PEER_OK)
			(void)memcpy(peer->name, peer->reverse_name, sizeof(peer->name));
	} else if (status == DNS_FOUND) {
		peer->name_status = peer->reverse_status = PEER_PERMANENT;
	}
	dns_result_done(&result);
	buf_done(&name);
}

void peer_find(struct session *s)
{
	struct peer *peer = &s->peer;
	struct sockaddr_storage address = { 0 };
	socklen_t size = sizeof(address);

	*peer = (struct peer){ .name_status = PEER_PERMANENT, .reverse_status = PEER_PERMANENT };
	(void)snprintf(peer->name, sizeof(peer->name), "unknown");
	(void)snprintf(peer->reverse_name, sizeof(peer->reverse_name), "unknown");
	if (getpeername(s->stream.fd, (struct sockaddr *)&address, &size) == 0)
		address_text(&address, peer->addr, sizeof(peer->addr), peer->port,
			     sizeof(peer->port));
	else
		(void)snprintf(peer->addr, sizeof(peer->addr), "unknown");
	size = sizeof(address);
	if (getsockname(s->stream.fd, (struct sockaddr *)&address, &size) == 0)
		address_text(&address, peer->server_addr, sizeof(peer->server_addr),
			     peer->server_port, sizeof(peer->server_port));
	if (conf->smtpd_peername_lookup)
		find_names(peer);
}
