/* SPDX-License-Identifier: MIT */
/*
 * dns: the resolver of all jailed programs. Takes dns_query, answers dns_answer, keeps answers
 * for as long as they hold. One process with an event loop; it never waits for anything.
 *
 * Runs as uid net in its own directory without a file, with internet sockets and nothing else.
 * resolv.conf and /etc/hosts are read as root before that; a change of them makes master start
 * a new generation. Trusts the servers of resolv.conf for what they say, not for how: packets
 * are read by lib/net/dns_wire.c, and the AD bit counts only over loopback or with trust-ad.
 * Manual: dns(8).
 */

#include "dns.h"

#include "proc/service.h"

static void prepare(void)
{
	service_watch_file("/etc/resolv.conf");
	service_watch_file("/etc/hosts");
	files_read();
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "dns",
		.kind = SERVICE_LOOP,
		.prepare = prepare,
		.on_connection = client_new,
	};

	return service_main(argc, argv, &program);
}
