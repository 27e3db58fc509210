/* SPDX-License-Identifier: MIT */
/*
 * Destinations: a nexthop of a transport, how many deliveries to it may run at once, and
 * whether it is in trouble. The window grows with deliveries that end well and shrinks with
 * those that find the destination in trouble; when as many in a row fail as make a cohort, the
 * destination is dead for a while and its mail is deferred untried (SCHEDULER_README).
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "qmgr/qmgr.h"

/* What one destination may have of the active queue before that is worth a warning. */
enum { CLOG_PART = 5 };

static bool job_is_before(struct heap_node *a, struct heap_node *b)
{
	return CONTAINER_OF(a, struct peer, node)->job->order <
	       CONTAINER_OF(b, struct peer, node)->job->order;
}

struct destination *destination_get(struct transport *transport, struct span key,
				    struct span nexthop)
{
	struct destination *destination = htab_get(&transport->destinations, key);

	if (destination != NULL)
		return destination;
	destination = NEW(struct destination);
	destination->transport = transport;
	destination->name = mem_dup(key);
	destination->nexthop = mem_dup(nexthop);
	destination->window = transport->initial_window;
	heap_init(&destination->peers, job_is_before);
	(void)htab_put(&transport->destinations, key, destination);
	return destination;
}

static void destination_free(struct destination *destination)
{
	(void)htab_remove(&destination->transport->destinations, span_of(destination->name));
	event_cancel(&destination->timer);
	heap_done(&destination->peers);
	free(destination->name);
	free(destination->nexthop);
	free(destination->reason);
	free(destination);
}

void destination_look_for_clog(struct destination *destination)
{
	size_t many = (size_t)conf->qmgr_message_active_limit / CLOG_PART;
	size_t entries = destination->busy + destination->waiting;
	struct clock_mono now = clock_mono_now();
	int64_t pause_ms = (int64_t)conf->qmgr_clog_warn_time * 1000;

	if (pause_ms == 0 || entries <= many || entries < messages.count / 5 * 4)
		return;
	if (destination->clog_warned.us > 0 &&
	    now.us < clock_add_ms(destination->clog_warned, pause_ms).us)
		return;
	destination->clog_warned = now;
	log_warn("mail for %s is using up %zu of %zu active queue entries",
		 log_clean_str(destination->nexthop), entries, messages.count);
	log_warn("this may be helped by shorter timeouts or a higher process limit of transport "
		 "%s, or a higher minimal_backoff_time; qmgr_clog_warn_time = 0 turns this off",
		 log_clean_str(destination->transport->name));
}

void destination_update(struct destination *destination)
{
	struct transport *transport = destination->transport;

	if (destination->state == DESTINATION_READY && destination->waiting > 0 &&
	    destination->busy < (size_t)destination->window) {
		heap_put(&transport->ready, &destination->ready);
		schedule_soon(transport);
		return;
	}
	heap_remove(&transport->ready, &destination->ready);
	if (destination->state == DESTINATION_READY && destination->waiting == 0 &&
	    destination->busy == 0)
		destination_free(destination);
}

static void on_revival(struct event_timer *timer)
{
	struct destination *destination = CONTAINER_OF(timer, struct destination, timer);

	if (destination->state == DESTINATION_DEAD)
		destination->window = destination->transport->initial_window;
	destination->state = DESTINATION_READY;
	destination->successes = destination->failures = destination->cohorts = 0;
	destination_update(destination);
}

/* After a delivery to a destination with destination_rate_delay. */
static void pause_it(struct destination *destination)
{
	seconds delay = destination->transport->destination_rate_delay;

	if (delay == 0 || destination->state != DESTINATION_READY)
		return;
	destination->state = DESTINATION_PAUSED;
	event_at(&destination->timer, clock_in_ms((int64_t)delay * 1000), on_revival);
}

static void debug_window(const struct destination *destination, const char *what)
{
	if (conf->destination_concurrency_feedback_debug)
		log_info("queue %s: %s: window %d success %g failure %g fail_cohorts %g",
			 log_clean_str(destination->name), what, destination->window,
			 destination->successes, destination->failures, destination->cohorts);
}

void destination_on_success(struct destination *destination)
{
	struct transport *transport = destination->transport;

	destination->cohorts = 0;
	destination->failures = 0;
	if (transport->destination_rate_delay == 0 &&
	    (transport->window_limit == 0 || destination->window < transport->window_limit)) {
		destination->successes +=
			feedback_value(&transport->positive, destination->window);
		if (destination->successes >= 1) {
			destination->window++;
			destination->successes -= 1;
		}
	}
	debug_window(destination, "positive feedback");
	pause_it(destination);
}

static void set_dead(struct destination *destination, const char *status, const char *reason)
{
	destination->state = DESTINATION_DEAD;
	(void)snprintf(destination->status, sizeof(destination->status), "%s", status);
	free(destination->reason);
	destination->reason = mem_dup_str(reason);
	event_at(&destination->timer, clock_in_ms((int64_t)conf->minimal_backoff_time * 1000),
		 on_revival);
	schedule_suspend(destination, status, reason);
}

void destination_on_trouble(struct destination *destination, const char *status,
			    const char *reason)
{
	struct transport *transport = destination->transport;
	int window = destination->window > 0 ? destination->window : 1;

	if (destination->state == DESTINATION_DEAD)
		return;
	destination->successes = 0;
	destination->cohorts += 1.0 / window;
	if (transport->cohort_limit > 0 && destination->cohorts >= transport->cohort_limit) {
		debug_window(destination, "limit reached");
		set_dead(destination, status, reason);
		return;
	}
	destination->failures += feedback_value(&transport->negative, window);
	while (destination->failures >= 1) {
		destination->failures -= 1;
		if (destination->window > 1)
			destination->window--;
	}
	debug_window(destination, "negative feedback");
	pause_it(destination);
}

void destinations_revive(struct transport *transport)
{
	struct htab_slot *cursor = NULL;
	struct span name;
	void *value;

	while (htab_next(&transport->destinations, &cursor, &name, &value)) {
		struct destination *destination = value;

		if (destination->state == DESTINATION_DEAD)
			event_at(&destination->timer, clock_in_ms(0), on_revival);
	}
}
