/* SPDX-License-Identifier: MIT */
#ifndef PROC_WORKERS_H
#define PROC_WORKERS_H

/* The two sides of a service of kind SERVICE_WORKERS, for proc/service.c alone. */

#include "proc/service.h"

struct listener {
	int fd;
	const char *client;
};

struct listeners {
	struct listener *list;
	size_t count;
};

/* Shared with all workers of a template; see workers.c. */
struct scoreboard;
extern struct scoreboard *scoreboard;

/* Makes scoreboard and drain pipe, and watches; then the template runs its event loop. */
void workers_start(const struct service_program *program, const struct jail *jail,
		   struct listeners listeners);

/* Closes the listeners and tells the workers; the loop stops when the last has gone. */
void workers_drain(void);

/* Called by the template when a worker died of a signal. */
typedef void workers_crashed_fn(const char *reason);
void workers_on_crash(workers_crashed_fn *on_crash);

#endif
