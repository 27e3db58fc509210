/* SPDX-License-Identifier: MIT */
/* The event loop: epoll and a binary heap of timers; see event.h. */

#include "base/event.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { EVENTS_AT_ONCE = 64 };

static struct {
	int epoll;
	bool is_stopping;
	struct event_timer **heap; /* heap[1] is the earliest */
	size_t heap_count, heap_room;
	struct epoll_event ready[EVENTS_AT_ONCE]; /* of the round that runs */
	int ready_count, ready_next;
} loop = { .epoll = -1 };

void event_open(void)
{
	if (loop.epoll >= 0)
		(void)close(loop.epoll);
	loop.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop.epoll < 0)
		fatal("epoll_create: %s", strerror(errno));
	loop.heap_count = 0;
	loop.is_stopping = false;
	loop.ready_count = loop.ready_next = 0;
}

void event_watch(struct event_fd *watch, int fd, unsigned events, event_fd_fn *on_event)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };
	int verb = watch->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (events == 0) {
		event_unwatch(watch);
		return;
	}
	watch->on_event = on_event;
	if (watch->events == events && watch->fd == fd)
		return;
	watch->fd = fd;
	watch->events = events;
	if (epoll_ctl(loop.epoll, verb, fd, &event) < 0)
		panic("epoll_ctl: descriptor %d: %s", fd, strerror(errno));
}

void event_unwatch(struct event_fd *watch)
{
	if (watch->events == 0)
		return;
	watch->events = 0;
	(void)epoll_ctl(loop.epoll, EPOLL_CTL_DEL, watch->fd, NULL);
	/* What is still to come of this round may not reach a watch that its owner gives up. */
	for (int i = loop.ready_next; i < loop.ready_count; i++)
		if (loop.ready[i].data.ptr == watch)
			loop.ready[i].data.ptr = NULL;
}

static void heap_set(size_t index, struct event_timer *timer)
{
	loop.heap[index] = timer;
	timer->heap_index = index;
}

static void heap_up(size_t index, struct event_timer *timer)
{
	while (index > 1 && loop.heap[index / 2]->when.us > timer->when.us) {
		heap_set(index, loop.heap[index / 2]);
		index /= 2;
	}
	heap_set(index, timer);
}

static void heap_down(size_t index, struct event_timer *timer)
{
	for (;;) {
		size_t child = index * 2;

		if (child > loop.heap_count)
			break;
		if (child < loop.heap_count &&
		    loop.heap[child + 1]->when.us < loop.heap[child]->when.us)
			child++;
		if (loop.heap[child]->when.us >= timer->when.us)
			break;
		heap_set(index, loop.heap[child]);
		index = child;
	}
	heap_set(index, timer);
}

void event_at(struct event_timer *timer, struct clock_mono when, event_timer_fn *on_time)
{
	event_cancel(timer);
	timer->when = when;
	timer->on_time = on_time;
	if (loop.heap_count + 2 > loop.heap_room) {
		loop.heap_room = loop.heap_room > 0 ? loop.heap_room * 2 : 64;
		loop.heap = mem_resize(loop.heap, loop.heap_room * sizeof(*loop.heap));
	}
	heap_up(++loop.heap_count, timer);
}

void event_cancel(struct event_timer *timer)
{
	size_t index = timer->heap_index;

	if (index == 0)
		return;
	timer->heap_index = 0;

	struct event_timer *last = loop.heap[loop.heap_count--];

	if (last == timer)
		return;
	if (index > 1 && loop.heap[index / 2]->when.us > last->when.us)
		heap_up(index, last);
	else
		heap_down(index, last);
}

bool event_is_set(const struct event_timer *timer)
{
	return timer->heap_index != 0;
}

static void run_timers(void)
{
	struct clock_mono now = clock_mono_now();

	while (loop.heap_count > 0 && loop.heap[1]->when.us <= now.us) {
		struct event_timer *timer = loop.heap[1];

		event_cancel(timer);
		timer->on_time(timer);
	}
}

void event_once(struct clock_mono deadline)
{
	if (loop.heap_count > 0 && loop.heap[1]->when.us < deadline.us)
		deadline = loop.heap[1]->when;

	int count = epoll_wait(loop.epoll, loop.ready, EVENTS_AT_ONCE, clock_poll_ms(deadline));

	if (count < 0 && errno != EINTR)
		fatal("epoll_wait: %s", strerror(errno));
	loop.ready_count = count > 0 ? count : 0;
	for (loop.ready_next = 0; loop.ready_next < loop.ready_count;) {
		struct epoll_event *event = &loop.ready[loop.ready_next++];
		struct event_fd *watch = event->data.ptr;

		if (watch != NULL)
			watch->on_event(watch, event->events);
	}
	loop.ready_count = loop.ready_next = 0;
	run_timers();
}

void event_run(void)
{
	loop.is_stopping = false;
	while (!loop.is_stopping)
		event_once(CLOCK_NEVER);
}

void event_stop(void)
{
	loop.is_stopping = true;
}
