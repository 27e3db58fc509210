/* SPDX-License-Identifier: MIT */
#ifndef BASE_EVENT_H
#define BASE_EVENT_H

/*
 * The event loop of the programs that must see everything at once: master, qmgr, dns, verify,
 * front, postlog. One loop a process, one thread; handlers run to their end and never wait.
 */

#include <stddef.h>

#include "base/clock.h"
#include "base/compiler.h"

/* A descriptor that is watched. The owner embeds it and keeps it alive while it is watched. */
struct event_fd;
typedef void event_fd_fn(struct event_fd *watch, unsigned events);

struct event_fd {
	int fd;
	unsigned events; /* EPOLLIN and the like; 0: not watched */
	event_fd_fn *on_event;
};

/* A point in time; unset when is_set is false. Embedded like event_fd. */
struct event_timer;
typedef void event_timer_fn(struct event_timer *timer);

struct event_timer {
	struct clock_mono when;
	event_timer_fn *on_time;
	size_t heap_index; /* private: 1-based, 0 when unset */
};

/* Makes the process's loop; fatal when the kernel gives no epoll. Again after fork: a new one. */
void event_open(void);

/* Watches `fd` for `events`, or changes what it is watched for; 0 stops. */
void event_watch(struct event_fd *watch, int fd, unsigned events, event_fd_fn *on_event);
void event_unwatch(struct event_fd *watch);

void event_at(struct event_timer *timer, struct clock_mono when, event_timer_fn *on_time);
void event_cancel(struct event_timer *timer);
bool event_is_set(const struct event_timer *timer);

/* Runs until event_stop(). event_once() waits for at most `deadline` and runs what is due. */
void event_run(void);
void event_once(struct clock_mono deadline);
void event_stop(void);

#endif
