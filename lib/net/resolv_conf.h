/* SPDX-License-Identifier: MIT */
#ifndef NET_RESOLV_CONF_H
#define NET_RESOLV_CONF_H

/* resolv.conf(5) and hosts(5), as text. Pure; used by the dns service. */

#include "base/htab.h"
#include "base/ip.h"
#include "base/mem.h"

enum { RESOLV_SERVERS_MAX = 8 };

struct resolv_conf {
	struct ip_addr servers[RESOLV_SERVERS_MAX];
	size_t server_count; /* at least 1: 127.0.0.1 when the file names none */
	unsigned timeout_s;  /* 1 to 30, for the first try */
	unsigned attempts;   /* 1 to 5 */
	bool does_rotate;
	bool is_trusted; /* its AD bit counts: "options trust-ad", or all servers are loopback */
};

/* What is malformed or unknown is passed over, as the C library does. */
void resolv_conf_parse(struct span text, struct resolv_conf *ret);

/* The contents of /etc/hosts. A zeroed struct is empty. */
struct hosts {
	struct htab by_name; /* lower case; struct hosts_entry */
	struct htab by_addr; /* text of the address; the first name, a C string */
	struct arena arena;
};

struct hosts_entry {
	struct hosts_entry *next;
	struct ip_addr addr;
};

void hosts_parse(struct span text, struct hosts *ret);
void hosts_done(struct hosts *hosts);

/* The addresses of `name` in the order of the file, or NULL. */
const struct hosts_entry *hosts_file_find(const struct hosts *hosts, struct span name);

/* The first name of the line with that address, or NULL. */
const char *hosts_name(const struct hosts *hosts, const struct ip_addr *addr);

#endif
