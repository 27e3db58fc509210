/* SPDX-License-Identifier: MIT */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

/*
 * A connection between two of Postern's processes: a UNIX SOCK_SEQPACKET socket, so a message
 * is one packet and comes whole or not at all. Blocking calls take an absolute deadline; the
 * two event-driven programs use the same calls with a deadline that is past.
 */

#include "base/clock.h"
#include "ipc/messages.h"

enum { IPC_PACKET_MAX = 160 * 1024 };

enum ipc_status {
	IPC_OK,
	IPC_CLOSED,  /* the peer has gone */
	IPC_TIMEOUT, /* nothing (or no room) before the deadline */
	IPC_BROKEN,  /* what came is no message of that kind, or errno says more */
};

struct ipc_channel {
	int fd;         /* -1: closed */
	int passed_fd;  /* descriptor that came with the last packet, or -1; see ipc_take_fd */
	int receive_limit_ms; /* what the kernel was told to wait for a packet; 0: told nothing yet */
	struct buf in;  /* last packet; the spans of decoded messages point here */
	struct buf out; /* packet in the making */
};

/* Takes over `fd`. ipc_close closes it and frees the buffers; the channel may be used again. */
void ipc_attach(struct ipc_channel *channel, int fd);
void ipc_close(struct ipc_channel *channel);
/* Frees the buffers until the next packet: what was received last is gone. */
void ipc_rest(struct ipc_channel *channel);
bool ipc_is_open(const struct ipc_channel *channel);

/*
 * Sends one message, with a copy of descriptor `pass_fd` unless it is -1. IPC_BROKEN with errno
 * EMSGSIZE when it does not fit its limits.
 */
MUST_USE enum ipc_status ipc_send(struct ipc_channel *channel, const struct ipc_desc *desc,
				  const void *message, int pass_fd, struct clock_mono deadline);

/* Waits for one packet. Its name is ipc_name(buf_span(&channel->in)). */
MUST_USE enum ipc_status ipc_recv(struct ipc_channel *channel, struct clock_mono deadline);

/* Decodes the packet received last as this message: false when it is anything else. */
MUST_USE bool ipc_get(struct ipc_channel *channel, const struct ipc_desc *desc, void *ret_message);

/* ipc_recv and ipc_get in one: IPC_BROKEN when the packet is another message. */
MUST_USE enum ipc_status ipc_expect(struct ipc_channel *channel, const struct ipc_desc *desc,
				    void *ret_message, struct clock_mono deadline);

/* The descriptor that came with the last packet, or -1. The caller closes it. */
int ipc_take_fd(struct ipc_channel *channel);

/*
 * Connects to the socket `path`. The descriptor, or -1 with errno; ETIMEDOUT when the listener's
 * backlog stays full until the deadline.
 */
MUST_USE int ipc_connect_path(const char *path, struct clock_mono deadline);

/* Shorthand: IPC_SEND(channel, status, &message, -1, deadline), IPC_EXPECT(channel, status, &m, d). */
#define IPC_SEND(channel, name, message, pass_fd, deadline) \
	ipc_send((channel), msg_##name##_desc(), \
		 (1 ? (message) : (const struct msg_##name *)NULL), (pass_fd), (deadline))
#define IPC_EXPECT(channel, name, message, deadline) \
	ipc_expect((channel), msg_##name##_desc(), \
		   (1 ? (message) : (struct msg_##name *)NULL), (deadline))
#define IPC_GET(channel, name, message) \
	ipc_get((channel), msg_##name##_desc(), (1 ? (message) : (struct msg_##name *)NULL))

#endif
