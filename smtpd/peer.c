/* SPDX-License-Identifier: MIT */
/* Who is at the other end: address, and the name that PTR and address records agree on. */

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/ip.h"
#include "conf/conf.h"
#include "mail/domain.h"
#include "net/dns.h"
#include "smtpd/session.h"

enum { LOOKUP_MS = 30000 };

enum { ADDR_BYTES = sizeof(((struct peer *)NULL)->addr), PORT_BYTES = 8 };

/* Numeric text of what getpeername(2) and getsockname(2) say. */
static void address_text(const struct sockaddr_storage *from, char addr[ADDR_BYTES],
			 char port[PORT_BYTES])
{
	struct ip_addr ip;
	unsigned number = 0;
	char text[IP_TEXT_MAX] = "unknown";

	if (ip_from_sockaddr((const struct sockaddr *)from, &ip, &number))
		(void)ip_text(&ip, text);
	(void)snprintf(addr, ADDR_BYTES, "%s", text);
	(void)snprintf(port, PORT_BYTES, "%u", number & 0xffff);
}

static void find_addresses(struct peer *peer, int fd)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t size = sizeof(address);

	(void)getpeername(fd, (struct sockaddr *)&address, &size);
	address_text(&address, peer->addr, peer->port);
	address = (struct sockaddr_storage){ .ss_family = AF_UNSPEC };
	size = sizeof(address);
	(void)getsockname(fd, (struct sockaddr *)&address, &size);
	address_text(&address, peer->server_addr, peer->server_port);
}

/* Whoever reaches a UNIX socket (type unix) is on this machine. */
static bool is_local(int fd)
{
	int domain = AF_UNSPEC;
	socklen_t size = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

static void set_local(struct peer *peer)
{
	(void)snprintf(peer->addr, sizeof(peer->addr), "127.0.0.1");
	(void)snprintf(peer->port, sizeof(peer->port), "0");
	(void)snprintf(peer->server_addr, sizeof(peer->server_addr), "127.0.0.1");
	(void)snprintf(peer->server_port, sizeof(peer->server_port), "0");
	(void)snprintf(peer->name, sizeof(peer->name), "localhost");
	(void)snprintf(peer->reverse_name, sizeof(peer->reverse_name), "localhost");
	peer->name_status = peer->reverse_status = PEER_OK;
}

/* The front, or pass_take(), has checked them. */
static void take_proxied(struct peer *peer, const struct msg_front_offer *offer)
{
	(void)snprintf(peer->addr, sizeof(peer->addr), "%.*s", SPAN_ARG(offer->client_addr));
	(void)snprintf(peer->port, sizeof(peer->port), "%.*s", SPAN_ARG(offer->client_port));
	(void)snprintf(peer->server_addr, sizeof(peer->server_addr), "%.*s",
		       SPAN_ARG(offer->server_addr));
	(void)snprintf(peer->server_port, sizeof(peer->server_port), "%.*s",
		       SPAN_ARG(offer->server_port));
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

	*peer = (struct peer){ .name_status = PEER_PERMANENT, .reverse_status = PEER_PERMANENT };
	(void)snprintf(peer->name, sizeof(peer->name), "unknown");
	(void)snprintf(peer->reverse_name, sizeof(peer->reverse_name), "unknown");
	if (s->offer.client_addr.n > 0) {
		take_proxied(peer, &s->offer);
	} else if (is_local(s->stream.fd)) {
		set_local(peer);
		return;
	} else {
		find_addresses(peer, s->stream.fd);
	}
	if (conf->smtpd_peername_lookup)
		find_names(peer);
}
