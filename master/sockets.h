/* SPDX-License-Identifier: MIT */
#ifndef MASTER_SOCKETS_H
#define MASTER_SOCKETS_H

/*
 * The sockets that services listen on. master binds them all and keeps them open, so that no
 * connection is refused while a service is exchanged; a socket that is still wanted after a
 * reload stays.
 */

#include <sys/types.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"

enum socket_kind { SOCKET_INET, SOCKET_UNIX, SOCKET_UNIX_STREAM, SOCKET_UNIX_DGRAM, SOCKET_FIFO };

struct service_socket {
	struct list link;
	enum socket_kind kind;
	char *key;    /* path, or address and port */
	char *client; /* who comes in here: a program's name, @inet or @public */
	int fd;
	dev_t device; /* which file it is, unless it is SOCKET_INET: */
	ino_t file;   /* at `key` there may be another one by now */
	bool is_wanted; /* for the sweep at reload */
};

struct socket_set {
	struct list sockets;
};

void sockets_init(struct socket_set *set);

/*
 * Wants a UNIX socket or FIFO at `path` with this mode and group, and makes it unless the set has
 * it. A file that is in the way is removed. False with a text in `error`.
 */
MUST_USE bool sockets_want_unix(struct socket_set *set, enum socket_kind kind, const char *path,
				mode_t mode, gid_t group, const char *client, struct buf *error);

/*
 * Wants TCP sockets for "host:port", "[host]:port" or "port"; without host on each address of
 * `interfaces` (inet_interfaces), of the families in `protocols` (inet_protocols). The port may be
 * a name, see port_find(). False with a text in `error`.
 */
MUST_USE bool sockets_want_inet(struct socket_set *set, const char *where, const char *interfaces,
				const char *protocols, const char *known_ports, struct buf *error);

/* tcp_windowsize for sockets that are bound from now on; 0: the system's. */
void sockets_window(int bytes);

/*
 * Until then, an address in use is tried again, for the processes of a master that was killed
 * may be about to give it back. At the start alone: a running master must not wait.
 */
void sockets_be_patient(struct clock_mono until);

/* Before and after a round of wants: what nobody wanted is closed and its file removed. */
void sockets_mark(struct socket_set *set);
void sockets_sweep(struct socket_set *set);

#endif
