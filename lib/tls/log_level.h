/* SPDX-License-Identifier: MIT */
#ifndef TLS_LOG_LEVEL_H
#define TLS_LOG_LEVEL_H

/*
 * How much of a session is logged, 0 to 4: smtp_tls_loglevel and smtpd_tls_loglevel, and their
 * _maps, which know peers by name and by address.
 */

#include "base/span.h"

struct lookup;
struct maps;

/*
 * What `maps` says of the peer, else `parameter`; 0 when that is no level. `lookup` as for
 * maps_find().
 */
int tls_log_level(struct maps *maps, struct lookup *lookup, struct span name, struct span address,
		  const char *parameter);

#endif
