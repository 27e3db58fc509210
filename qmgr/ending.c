/* SPDX-License-Identifier: MIT */
/*
 * The end of qmgr. Where another qmgr follows, agents tell that one what became of the deliveries
 * under way. When master stops or has died nobody might: then this qmgr waits for them, and a lock
 * keeps the next one from the queue meanwhile.
 */

#include <errno.h>
#include <string.h>
#include <sys/file.h>

#include "base/log.h"
#include "qmgr/qmgr.h"

/* An agent that takes longer than this may have its recipients delivered once more. */
enum { PATIENCE_MS = 10 * 1000 };

static struct {
	bool is_on;
	struct event_timer look, limit;
} ending;

bool is_ending(void)
{
	return ending.is_on;
}

static void on_look(struct event_timer *timer)
{
	(void)timer;
	if (transports_busy() == 0)
		event_stop();
}

static void on_limit(struct event_timer *timer)
{
	(void)timer;
	log_warn("stopped with %zu deliveries under way", transports_busy());
	event_stop();
}

void ending_look(void)
{
	/* Not here: what follows from the result is yet to be written down. */
	if (ending.is_on)
		event_at(&ending.look, clock_in_ms(0), on_look);
}

void ending_start(bool has_successor)
{
	if (has_successor) {
		event_stop();
		return;
	}
	ending.is_on = true;
	event_at(&ending.limit, clock_in_ms(PATIENCE_MS), on_limit);
	ending_look();
}

void ending_wait_for_other(void)
{
	int result;

	do {
		result = flock(queue_dirs.fds[QUEUE_ACTIVE], LOCK_EX);
	} while (result < 0 && errno == EINTR);
	if (result < 0)
		fatal("lock the queue: %s", strerror(errno));
}
