/* SPDX-License-Identifier: MIT */
#ifndef NET_WINDOW_H
#define NET_WINDOW_H

/*
 * tcp_windowsize: limits the window of a TCP socket, before it is connected or listens. 0 leaves it
 * to the system; a system that refuses has its own.
 */
void window_set(int fd, int bytes);

#endif
