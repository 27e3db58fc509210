/* SPDX-License-Identifier: MIT */
#ifndef NET_PORT_H
#define NET_PORT_H

#include "base/span.h"

/*
 * The number of a TCP port: a number from 1 to 65535, or a name that `known` has, in the form of
 * the parameter known_tcp_ports ("smtp=25, smtps=submissions=465": all names of a group have its
 * number), or else one of /etc/services, which a jail does not have. False when it is none.
 */
MUST_USE bool port_find(struct span text, struct span known, uint16_t *ret);

#endif
