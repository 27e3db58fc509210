/* SPDX-License-Identifier: MIT */
/*
 * A session begins with work for the processors, and most of its life it waits for its client. A
 * hundred that begin at once are not served faster than eight for each processor: they only push
 * each other's data out of the caches. So those that began a moment ago are counted, and when they
 * are enough the next one waits until one of them ends or is no longer new. Clients that are slow
 * to speak, or a disk that is slow to write, hold up nobody for longer than that.
 */

#include <sched.h>

#include "smtpd/front/front.h"

enum {
	NEW_FOR_PROCESSOR = 8, /* sessions */
	NEW_MS = 20,
};

static struct {
	struct list begun; /* since longest first */
	unsigned count, limit;
} self;

void pace_prepare(void)
{
	cpu_set_t processors;

	list_init(&self.begun);
	/* Where there are more of them than the set has room for, they are enough. */
	if (sched_getaffinity(0, sizeof(processors), &processors) < 0)
		self.limit = CPU_SETSIZE * NEW_FOR_PROCESSOR;
	else
		self.limit = (unsigned)CPU_COUNT(&processors) * NEW_FOR_PROCESSOR;
}

void pace_begin(struct pace *session, struct clock_mono now)
{
	session->end = clock_add_ms(now, NEW_MS);
	session->is_counted = true;
	list_append(&self.begun, &session->link);
	self.count++;
}

void pace_end(struct pace *session)
{
	if (!session->is_counted)
		return;
	session->is_counted = false;
	list_remove(&session->link);
	self.count--;
}

static struct pace *oldest(void)
{
	return CONTAINER_OF(self.begun.next, struct pace, link);
}

bool pace_allows(struct clock_mono now, struct clock_mono *ret_next)
{
	while (self.count > 0 && oldest()->end.us <= now.us)
		pace_end(oldest());
	*ret_next = self.count < self.limit ? now : oldest()->end;
	return self.count < self.limit;
}
