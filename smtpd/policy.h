/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_POLICY_H
#define SMTPD_POLICY_H

/*
 * Policy servers: check_policy_service asks one for an action of access(5), as text lines
 * "name=value" over a connection that is kept. SMTPD_POLICY_README.
 */

#include "smtpd/check.h"

struct policy_server;

/*
 * The server of an argument, "inet:host:port" or, as what stood in braces, "inet:host:port,
 * timeout=10s, default_action=DUNNO". The same text gives the same server. Anything wrong is
 * NULL with the reason in *ret_error.
 */
struct policy_server *policy_server_find(struct span argument, struct buf *ret_error);

/* The same among those that were found before; NULL when it is new. */
struct policy_server *policy_server_known(struct span argument);

#endif
