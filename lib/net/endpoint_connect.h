/* SPDX-License-Identifier: MIT */
#ifndef NET_ENDPOINT_CONNECT_H
#define NET_ENDPOINT_CONNECT_H

/* Connections to the servers of endpoint.h, by way of the connect service. */

#include "base/buf.h"
#include "base/clock.h"

/*
 * Asks the connect service for a connection to `text`, exactly as main.cf has it, or with the `seal`
 * that came with it. The descriptor, which is non-blocking, or -1 with the reason in *ret_reason.
 */
MUST_USE int endpoint_connect(struct span text, uint64_t seal, struct clock_mono deadline,
			      struct buf *ret_reason);

#endif
