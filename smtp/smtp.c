/* SPDX-License-Identifier: MIT */
/*
 * smtp and lmtp: deliver mail to other machines. Installed under both names; as lmtp it speaks
 * LMTP and has the lmtp_ parameters.
 *
 * Runs as uid net in its own directory without a file; it may open internet sockets and reach dns,
 * proxymap, connect, and keysign, which has the private keys. Messages come from qmgr as
 * descriptors, read only. Trusts qmgr for what to deliver, and no server for anything. Manual:
 * smtp(8), lmtp(8). RFC 5321, RFC 2033, RFC 2920, RFC 1870, RFC 6152, RFC 6531, RFC 3461, RFC 7505,
 * RFC 4954, RFC 3207, RFC 8314, RFC 7672, RFC 8689.
 */

#include "tls.h"

#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/table_client.h"
#include "net/dns_filter.h"
#include "proc/debug_peer.h"
#include "proc/service.h"
#include "route/site.h"

bool is_lmtp;
struct site site;

static struct deliver_agent agent = {
	.relay = "none",
	.deliver = deliver_message,
	.on_idle = deliver_idle,
};

static void prepare(void)
{
	is_lmtp = strcmp(service.program, "lmtp") == 0;
	table_client_setup();
	site_open(&site, TABLE_IN_JAIL);
	hosts_prepare();
	dnssec_prepare();
	connect_prepare();
	relays_prepare();
	deliver_prepare(is_lmtp ? "lmtp_delivery_status_filter" : "smtp_delivery_status_filter",
			conf->smtp_delivery_status_filter);
	tables_open();
	debug_peer_prepare();
	auth_prepare(tables_open_maps("sasl_password_maps", conf->smtp_sasl_password_maps));
	policy_prepare();
	requiretls_prepare();
	client_tls_prepare();
	dns_filter_set(tables.dns_reply_filter);
	if (!target_port(span_of(conf->smtp_tcp_port), &tables.default_port))
		fatal("smtp_tcp_port: %s is no port", conf->smtp_tcp_port);
	agent.idle_ms = conf->smtp_connection_cache_time_limit * 1000;
}

/* qmgr's connection: one request after the other. */
static void serve(int fd, const char *client)
{
	deliver_serve(fd, client, &agent);
	deliver_idle();
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "smtp",
		.kind = SERVICE_WORKERS,
		.prepare = prepare,
		.serve = serve,
	};

	return service_main(argc, argv, &program);
}
