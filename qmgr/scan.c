/* SPDX-License-Identifier: MIT */
/*
 * Finding messages. New ones are told of by cleanup; incoming is gone through as well, at the
 * start, at each wake-up, and after there was no room. Deferred mail is gone through every
 * queue_run_delay, for files whose mtime, the time of the next try, is past. Both go in
 * portions, and stop where they are while the active queue is full.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "qmgr/qmgr.h"
#include "queue/walk.h"

enum { FILES_A_TURN = 200, LATER_MS = 1000 };

struct scan {
	enum queue_dir dir;
	struct queue_walk walk;
	bool is_wanted;  /* once more when the walk ends */
	bool is_all;     /* whether or not their time has come */
	bool is_all_next;
	bool is_blocked; /* the active queue is full: `id` goes first when there is room */
	char id[QUEUE_ID_MAX];
};

static struct scan incoming = { .dir = QUEUE_INCOMING };
static struct scan deferred = { .dir = QUEUE_DEFERRED };
static struct event_timer turn_timer, later_timer;

static void on_turn(struct event_timer *timer);

static void go_on_soon(void)
{
	if (!event_is_set(&turn_timer))
		event_at(&turn_timer, clock_in_ms(0), on_turn);
}

/* Whether the next try is now; or so far away that it was set while the clock was wrong, behind the end of
 * any message's lifetime. */
static bool is_due(const struct scan *scan, const char *id)
{
	int64_t now_s = clock_wall_now().us / 1000000;
	int64_t never_s = (int64_t)conf->maximal_queue_lifetime + conf->maximal_backoff_time +
			  conf->minimal_backoff_time;
	struct stat st;

	if (scan->dir == QUEUE_INCOMING || scan->is_all)
		return true;
	return queue_stat(&queue_dirs, scan->dir, id, &st) &&
	       (st.st_mtim.tv_sec <= now_s || st.st_mtim.tv_sec > now_s + never_s);
}

/* False when there is no room for it; it is kept for later. */
static bool take(struct scan *scan)
{
	switch (message_activate(scan->id, scan->dir, false)) {
	case ACTIVATE_OK:
	case ACTIVATE_GONE:
		break;
	case ACTIVATE_BUSY:
		if (scan->dir == QUEUE_INCOMING)
			scan_incoming_later();
		break;
	case ACTIVATE_FULL:
		scan->is_blocked = true;
		return false;
	}
	scan->is_blocked = false;
	return true;
}

static bool start_walk(struct scan *scan)
{
	if (!scan->is_wanted)
		return false;
	scan->is_wanted = false;
	scan->is_all = scan->is_all_next;
	scan->is_all_next = false;
	if (!queue_walk_start(&scan->walk, &queue_dirs, scan->dir)) {
		log_warn("open directory %s: %s", queue_dir_name(scan->dir), strerror(errno));
		return false;
	}
	return true;
}

/* One portion. Whether there is more to do, and room for it. */
static bool go_on(struct scan *scan)
{
	if (scan->is_blocked && !take(scan))
		return false;
	if (scan->walk.stream == NULL && !start_walk(scan))
		return false;
	for (int i = 0; i < FILES_A_TURN; i++) {
		if (!queue_walk_next(&scan->walk, scan->id)) {
			if (scan->walk.error != 0)
				log_warn("read directory %s: %s", queue_dir_name(scan->dir),
					 strerror(scan->walk.error));
			return scan->is_wanted;
		}
		if (is_due(scan, scan->id) && !take(scan))
			return false;
	}
	return true;
}

static void on_turn(struct event_timer *timer)
{
	static bool is_deferred_first;
	bool has_more;

	(void)timer;
	if (is_ending())
		return;
	/* In turns, so that neither directory can keep the other out of a full active queue. */
	is_deferred_first = !is_deferred_first;
	has_more = go_on(is_deferred_first ? &deferred : &incoming);
	if (go_on(is_deferred_first ? &incoming : &deferred) || has_more)
		go_on_soon();
}

void scan_incoming(void)
{
	incoming.is_wanted = true;
	go_on_soon();
}

void scan_deferred(bool is_all)
{
	deferred.is_wanted = true;
	deferred.is_all_next |= is_all;
	go_on_soon();
}

static void on_later(struct event_timer *timer)
{
	(void)timer;
	scan_incoming();
}

void scan_incoming_later(void)
{
	if (!event_is_set(&later_timer))
		event_at(&later_timer, clock_in_ms(LATER_MS), on_later);
}

static void on_sorted(const char *id)
{
	log_warn("%s: was not where it is looked for in incoming: moved", id);
}

void scan_start(void)
{
	if (!queue_sort_incoming(&queue_dirs, on_sorted))
		log_warn("directory incoming: %s", strerror(errno));
	scan_incoming();
	scan_deferred(false);
}

void scan_hint(const char *id)
{
	switch (message_activate(id, QUEUE_INCOMING, true)) {
	case ACTIVATE_OK:
	case ACTIVATE_GONE:
		return;
	case ACTIVATE_BUSY:
		scan_incoming_later();
		return;
	case ACTIVATE_FULL:
		/* The scan waits for room; it finds this file by itself. */
		incoming.is_wanted = true;
		return;
	}
}

bool scan_one(const char *id)
{
	switch (message_activate(id, QUEUE_DEFERRED, false)) {
	case ACTIVATE_OK:
	case ACTIVATE_BUSY:
		return true;
	case ACTIVATE_FULL:
		queue_try_now(&queue_dirs, QUEUE_DEFERRED, id);
		return true;
	case ACTIVATE_GONE:
		break;
	}
	return message_activate(id, QUEUE_INCOMING, false) != ACTIVATE_GONE;
}

void scan_resume(void)
{
	if (incoming.is_blocked || incoming.is_wanted || deferred.is_blocked)
		go_on_soon();
}
