/* SPDX-License-Identifier: MIT */
#ifndef DELIVER_BIFF_H
#define DELIVER_BIFF_H

#include <stdint.h>

/*
 * Tells comsat(8) of this machine that `user` has new mail in his mailbox at `offset`: one datagram
 * to UDP port 512 of 127.0.0.1, "user@offset" with a NUL behind. Nobody has to listen, and nothing
 * comes back.
 */
void biff_notify(const char *user, int64_t offset);

#endif
