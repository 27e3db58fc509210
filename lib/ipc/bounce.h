/* SPDX-License-Identifier: MIT */
#ifndef IPC_BOUNCE_H
#define IPC_BOUNCE_H

/*
 * What the bounce program is asked, under its service names bounce, defer and trace (bounce(8)).
 *
 *     bounce_append   add outcomes to the log of a message: bounce/ID, defer/ID, trace/ID
 *     bounce_send     make a notification from the logs, submit it to cleanup, remove the logs
 *
 * Both are answered with `status`; code 0 means that it is durable. Until then the asker keeps the
 * recipients as they are.
 */

enum bounce_kind {
	BOUNCE_FAILURE = 1, /* non-delivery notification, from bounce/ID */
	BOUNCE_EXPIRED,     /* the same from defer/ID: the queue lifetime is over */
	BOUNCE_WARNING,     /* delay notification, from defer/ID, which stays */
	BOUNCE_TRACE,       /* success or probe report, from trace/ID */
};

/* For the single-recipient agents that bounce on their own sender: see messages.def. */

#endif
