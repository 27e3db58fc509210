/* SPDX-License-Identifier: MIT */
#ifndef NET_ENDPOINT_H
#define NET_ENDPOINT_H

/*
 * Servers that main.cf names for programs in a jail: policy servers, "unix:PATH" and
 * "inet:HOST:PORT", and the sockets of LMTP servers. The connect service (services/connect) opens
 * them and hands the connection over; it knows the texts from the configuration, and opens nothing
 * else, but for lmtp also "unix:private/NAME" and what qmgr has sealed.
 *
 * A socket may be named by a table alone (transport_maps), which the connect service does not read.
 * qmgr, who did, sends a seal along with such a next hop: a hash with a secret that master gave to
 * these two. So the agent, which strangers may have taken over, cannot name a path of its own.
 */

#include "base/buf.h"
#include "base/siphash.h"

/* A socket that takes datagrams, where the configuration has a path alone: "unix-dgram:PATH". */
#define ENDPOINT_DGRAM "unix-dgram:"

struct endpoint {
	bool is_unix;
	bool is_dgram; /* a UNIX socket of that type */
	struct span path; /* of a UNIX socket; a relative one is below the queue directory */
	struct span host; /* name or address, without brackets */
	struct span port; /* number or name */
};

/* Parses "unix:PATH", "unix-dgram:PATH", "inet:HOST:PORT", "inet:[V6]:PORT"; the spans borrow from `text`. */
MUST_USE bool endpoint_parse(struct span text, struct endpoint *ret);

/*
 * The text for what smtpd_sasl_path says: "inet:..." and "unix:..." as they are, all else is the path of a
 * UNIX socket. The caller frees it.
 */
char *endpoint_of_path(const char *text);

/* The key of all seals; `secret` is master's. */
struct siphash_key endpoint_seal_key(struct span secret);
uint64_t endpoint_seal(const struct siphash_key *key, struct span text);

#endif
