/* SPDX-License-Identifier: MIT */
#ifndef MASTER_CONTROL_H
#define MASTER_CONTROL_H

/*
 * private/master, the socket where `postern reload`, `stop` and `status` ask. Each is answered
 * when it is done: a reload when the new configuration serves, a stop when the last process ended.
 */

#include "base/buf.h"

struct control_handlers {
	/* Begins a reload; false with a text when the new configuration cannot be used. */
	bool (*reload)(struct buf *error);
	void (*stop)(bool at_once);
};

/* Binds the socket; `handlers` is borrowed for good. Fatal when it cannot. */
void control_open(const char *queue_directory, const struct control_handlers *handlers);

/* Takes the socket away; who is connected stays so. */
void control_close(void);

/* Answers who waits for a reload: "" when all that is wanted serves. */
void control_reloaded(const char *error);

/* Answers who waits for the end. */
void control_ended(void);

#endif
