/* SPDX-License-Identifier: MIT */
#ifndef PROC_DEBUG_PEER_H
#define PROC_DEBUG_PEER_H

#include "base/compiler.h"
#include "base/span.h"

/*
 * debug_peer_list: more in the log of sessions with some hosts, by debug_peer_level. For programs
 * that talk to one peer at a time.
 */

/* In prepare(). A list that cannot be read is fatal. */
void debug_peer_prepare(void);

/*
 * Raises the verbosity when this host, by name or address, is in the list, unless it is raised
 * already. Either may be empty. Whether this call has raised it: then debug_peer_restore() follows.
 */
MUST_USE bool debug_peer_check(struct span name, struct span address);

/* The session is over. */
void debug_peer_restore(void);

#endif
