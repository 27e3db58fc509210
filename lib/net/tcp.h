/* SPDX-License-Identifier: MIT */
#ifndef NET_TCP_H
#define NET_TCP_H

/* What the kernel is told about TCP. It is advice: a system that refuses does it its own way. */

/* tcp_windowsize: limits the window of a socket, before it is connected or listens. 0 leaves it to the system. */
void tcp_set_window(int fd, int bytes);

/* What is written is sent at once (TCP_NODELAY); a listening socket passes it on to its connections. */
void tcp_send_at_once(int fd);

/*
 * What comes in next is acknowledged at once (TCP_QUICKACK), until something is written. For who
 * expects several segments of a peer that may wait for the acknowledgement of the first before it sends the
 * next one (Nagle's algorithm): a kernel that hopes for data to go with it is silent for 40 ms. On a UNIX
 * socket it does nothing.
 */
void tcp_acknowledge_at_once(int fd);

#endif
