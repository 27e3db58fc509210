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

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "proc/service.h"

enum { FILE_BYTES_MAX = 4 * 1024 * 1024 };

/* The whole file into `out`; a file that is not there is empty. */
static void read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		if (errno != ENOENT)
			log_warn("%s: %s", path, strerror(errno));
		return;
	}
	if (!buf_read(out, fd)) {
		if (errno == EFBIG)
			log_warn("%s: only the first %zu bytes are used", path, buf_span(out).n);
		else
			log_warn("%s: %s", path, strerror(errno));
	}
	(void)close(fd);
}

/* The file, and what it points to when it is a link, as resolv.conf often is. */
static void watch_file(const char *path)
{
	char *target = realpath(path, NULL);

	service_watch_file(path);
	if (target != NULL && strcmp(target, path) != 0)
		service_watch_file(target);
	free(target);
}

static void prepare(void)
{
	struct buf text = BUF_INIT(FILE_BYTES_MAX);
	struct resolv_conf servers;

	watch_file("/etc/resolv.conf");
	watch_file("/etc/hosts");
	read_file("/etc/resolv.conf", &text);
	resolv_conf_parse(buf_span(&text), &servers);
	carrier_prepare(&servers);
	buf_reset(&text);
	read_file("/etc/hosts", &text);
	hosts_parse(buf_span(&text), &hosts);
	buf_done(&text);
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
