/* SPDX-License-Identifier: MIT */
/*
 * What is delivered next (SCHEDULER_README). Each message has a job in each transport that it
 * uses. The jobs of a transport stand in one order; the first whose destinations have room is
 * served, its destinations in turn. For every slot_cost deliveries a job earns a slot; when it
 * has enough of them for all entries of another job, that one may go first: so a message to a
 * few is not held up by one to many, and the many are slowed down by a bounded part.
 *
 * Each destination keeps its waiting peers, and each transport its destinations that may send,
 * in heaps by the order of their jobs: a pick takes logarithmic time, however many wait.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "mail/addr.h"
#include "qmgr/qmgr.h"
#include "queue/envelope.h"

enum {
	ORDER_STEP = 1 << 20,
	ENTRY_BYTES_MAX = 80 * 1024, /* of a request's recipients, see messages.def */
	RCPT_OVERHEAD_BYTES = 64,
	CANDIDATE_LOOK_MS = 1000,
	CANDIDATE_FEW_JOBS = 64, /* so few may be gone through at every pick */
};

/* ---- jobs and peers ---- */

static struct job *job_get(struct message *message, struct transport *transport)
{
	struct job *job;

	LIST_FOR(item, &message->jobs) {
		job = CONTAINER_OF(item, struct job, message_link);
		if (job->transport == transport)
			return job;
	}
	job = NEW(struct job);
	job->message = message;
	job->transport = transport;
	job->since = clock_mono_now();
	list_init(&job->peers);
	job->order = list_is_empty(&transport->jobs)
			     ? ORDER_STEP
			     : CONTAINER_OF(transport->jobs.prev, struct job, link)->order +
				       ORDER_STEP;
	list_append(&transport->jobs, &job->link);
	list_append(&message->jobs, &job->message_link);
	transport->job_count++;
	return job;
}

static void job_free(struct job *job)
{
	list_remove(&job->link);
	list_remove(&job->message_link);
	job->transport->job_count--;
	free(job);
}

/* It keeps its place while more recipients are to come. */
static void job_free_if_done(struct job *job)
{
	if (job->waiting == 0 && job->busy == 0 && !job->message->has_more)
		job_free(job);
}

static void peer_add(struct job *job, struct destination *destination, struct list *entries,
		     size_t count)
{
	struct peer *peer = NEW(struct peer);

	peer->job = job;
	peer->destination = destination;
	list_init(&peer->entries);
	while (!list_is_empty(entries)) {
		struct entry *entry = CONTAINER_OF(entries->next, struct entry, link);

		list_remove(&entry->link);
		entry->peer = peer;
		entry->job = job;
		entry->destination = destination;
		list_append(&peer->entries, &entry->link);
	}
	list_append(&job->peers, &peer->link);
	job->waiting += count;
	destination->waiting += count;
	heap_put(&destination->peers, &peer->node);
	destination_look_for_clog(destination);
	destination_update(destination);
}

/* Takes a waiting entry out of its peer, which goes with its last one. */
static void take_out(struct entry *entry)
{
	struct peer *peer = entry->peer;

	list_remove(&entry->link);
	entry->peer = NULL;
	peer->job->waiting--;
	peer->destination->waiting--;
	if (list_is_empty(&peer->entries)) {
		heap_remove(&peer->destination->peers, &peer->node);
		list_remove(&peer->link);
		free(peer);
	}
}

/* ---- cutting a portion into entries ---- */

/*
 * What tells destinations apart. Where each recipient has a delivery of its own (recipient
 * limit 1) it is the recipient, so that one mailbox that is slow does not hold up the others.
 */
static struct span destination_key(struct arena *arena, const struct rcpt *rcpt)
{
	struct span local;

	if (rcpt->transport->rcpt_limit != 1)
		return rcpt->nexthop;
	local = addr_split(rcpt->target).local;
	return span_of(arena_printf(arena, "%.*s@%.*s", SPAN_ARG(local), SPAN_ARG(rcpt->nexthop)));
}

static int compare_rcpts(const void *a, const void *b)
{
	const struct rcpt *ra = *(struct rcpt *const *)a, *rb = *(struct rcpt *const *)b;
	uintptr_t ta = (uintptr_t)ra->transport, tb = (uintptr_t)rb->transport;
	int order;

	if (ta != tb)
		return ta < tb ? -1 : 1;
	order = span_cmp(ra->nexthop, rb->nexthop);
	if (order == 0 && ra->transport->rcpt_limit == 1)
		order = span_cmp(ra->target, rb->target);
	if (order == 0)
		order = ra->offset < rb->offset ? -1 : ra->offset > rb->offset;
	return order;
}

static size_t rcpt_bytes(const struct rcpt *rcpt)
{
	return RCPT_OVERHEAD_BYTES + rcpt->target.n + rcpt->orig_address.n + rcpt->orcpt.n;
}

static bool is_same_destination(const struct rcpt *a, const struct rcpt *b)
{
	return a->transport == b->transport && span_eq(a->nexthop, b->nexthop) &&
	       (a->transport->rcpt_limit != 1 || span_eq(a->target, b->target));
}

/* How many of the recipients from the first on go in one entry. */
static size_t entry_size(const struct message *message, struct rcpt **rcpts, size_t count)
{
	size_t limit = (size_t)rcpts[0]->transport->rcpt_limit, bytes = 0, size = 0;

	if ((message->envelope.flags & ENVELOPE_VERP) != 0)
		limit = 1; /* each has a sender address of its own */
	while (size < count && (limit == 0 || size < limit) &&
	       (bytes += rcpt_bytes(rcpts[size])) <= ENTRY_BYTES_MAX)
		size++;
	return size > 0 ? size : 1;
}

/* All of one destination. */
static void schedule_group(struct portion *portion, struct rcpt **rcpts, size_t count)
{
	struct transport *transport = rcpts[0]->transport;
	struct job *job = job_get(portion->message, transport);
	struct destination *destination = destination_get(
		transport, destination_key(&portion->arena, rcpts[0]), rcpts[0]->nexthop);
	struct list entries;
	size_t entry_count = 0;

	list_init(&entries);
	for (size_t at = 0; at < count; entry_count++) {
		struct entry *entry = arena_alloc(&portion->arena, sizeof(*entry));

		entry->portion = portion;
		entry->rcpts = rcpts + at;
		entry->count = entry_size(portion->message, rcpts + at, count - at);
		at += entry->count;
		list_append(&entries, &entry->link);
	}
	peer_add(job, destination, &entries, entry_count);
	if (destination->state == DESTINATION_DEAD)
		schedule_suspend(destination, destination->status, destination->reason);
}

void schedule_portion(struct portion *portion)
{
	struct rcpt **order = arena_alloc(&portion->arena, portion->count * sizeof(*order));
	size_t count = 0, next;

	for (size_t i = 0; i < portion->count; i++)
		if (!portion->rcpts[i].is_settled) {
			order[count++] = &portion->rcpts[i];
			rcpt_count_in(&portion->rcpts[i], portion->rcpts[i].transport);
		}
	if (count > 1)
		qsort(order, count, sizeof(*order), compare_rcpts);
	for (size_t at = 0; at < count; at = next) {
		next = at + 1;
		while (next < count && is_same_destination(order[at], order[next]))
			next++;
		schedule_group(portion, order + at, next - at);
	}
}

/* ---- preemption ---- */

/* Out of all heaps before its order changes, and back in after it. */
static void job_lift(struct job *job)
{
	LIST_FOR(item, &job->peers) {
		struct peer *peer = CONTAINER_OF(item, struct peer, link);

		heap_remove(&job->transport->ready, &peer->destination->ready);
		heap_remove(&peer->destination->peers, &peer->node);
	}
}

static void job_drop_in(struct job *job)
{
	LIST_FOR(item, &job->peers) {
		struct peer *peer = CONTAINER_OF(item, struct peer, link);

		heap_put(&peer->destination->peers, &peer->node);
		destination_update(peer->destination);
	}
}

/* New numbers, in the same order, so no heap changes. */
static void number_jobs(struct transport *transport)
{
	uint64_t order = 0;

	LIST_FOR(item, &transport->jobs)
		CONTAINER_OF(item, struct job, link)->order = order += ORDER_STEP;
}

static void put_before(struct job *job, struct job *next)
{
	struct transport *transport = job->transport;
	uint64_t before;

	job_lift(job);
	list_remove(&job->link);
	list_add_before(&next->link, &job->link);
	before = job->link.prev != &transport->jobs
			 ? CONTAINER_OF(job->link.prev, struct job, link)->order
			 : 0;
	if (next->order - before >= 2)
		job->order = before + (next->order - before) / 2;
	else
		number_jobs(transport);
	job_drop_in(job);
}

static bool may_send_now(const struct job *job)
{
	LIST_FOR(item, &job->peers) {
		if (heap_has(&CONTAINER_OF(item, struct peer, link)->destination->ready))
			return true;
	}
	return false;
}

/* The job behind `current` that is best to go first: it waits long and has few entries. */
static struct job *find_candidate(struct job *current, size_t entries_max)
{
	struct transport *transport = current->transport;
	struct clock_mono now = clock_mono_now();
	struct job *best = NULL;
	double best_score = 0;

	if (transport->job_count > CANDIDATE_FEW_JOBS &&
	    now.us < clock_add_ms(transport->candidates_looked, CANDIDATE_LOOK_MS).us)
		return NULL;
	transport->candidates_looked = now;
	for (struct list *item = current->link.next; item != &transport->jobs; item = item->next) {
		struct job *job = CONTAINER_OF(item, struct job, link);
		double score;

		if (job->waiting == 0 || job->waiting > entries_max || job->message->has_more)
			continue;
		score = (double)(now.us - job->since.us + 1) / (double)job->waiting;
		if (score > best_score && may_send_now(job)) {
			best = job;
			best_score = score;
		}
	}
	return best;
}

/* Lets another job go before this one, if it has earned the slots for it. */
static bool preempt(struct job *job)
{
	const struct transport *transport = job->transport;
	size_t cost = (size_t)transport->slot_cost, earned, total, max;
	struct job *candidate;

	if (cost < 2 || transport->job_count < 2)
		return false;
	total = job->selected + job->waiting + job->message->unread;
	earned = job->selected / cost;
	if (total / cost < (size_t)transport->min_slots ||
	    earned + (size_t)transport->slot_loan <= job->slots_used)
		return false;
	/* With a discount of 50% half of the slots are enough; all of them are paid. */
	max = earned + (size_t)transport->slot_loan - job->slots_used;
	if (transport->slot_discount < 100)
		max = max * 100 / (100 - (size_t)transport->slot_discount);
	candidate = find_candidate(job, max);
	if (candidate == NULL)
		return false;
	job->slots_used += candidate->waiting;
	put_before(candidate, job);
	return true;
}

/* ---- picking ---- */

static struct peer *first_peer(struct transport *transport)
{
	struct heap_node *node = heap_first(&transport->ready);

	if (node == NULL)
		return NULL;
	return CONTAINER_OF(heap_first(&CONTAINER_OF(node, struct destination, ready)->peers),
			    struct peer, node);
}

struct entry *schedule_pick(struct transport *transport)
{
	struct peer *peer = transport_may_send(transport) ? first_peer(transport) : NULL;
	struct destination *destination;
	struct entry *entry;

	if (peer != NULL && preempt(peer->job))
		peer = first_peer(transport);
	if (peer == NULL)
		return NULL;
	destination = peer->destination;
	entry = CONTAINER_OF(peer->entries.next, struct entry, link);
	take_out(entry);
	entry->job->busy++;
	entry->job->selected++;
	entry->job->message->busy++;
	transport->busy++;
	destination->busy++;
	destination->picked = ++transport->picks;
	destination_update(destination);
	return entry;
}

static void end_busy(struct entry *entry)
{
	struct job *job = entry->job;

	job->busy--;
	job->message->busy--;
	job->transport->busy--;
	entry->destination->busy--;
	schedule_soon(job->transport);
}

void schedule_unpick(struct entry *entry)
{
	struct list entries;

	end_busy(entry);
	entry->job->selected--;
	list_init(&entries);
	list_append(&entries, &entry->link);
	peer_add(entry->job, entry->destination, &entries, 1);
}

void schedule_end(struct entry *entry)
{
	end_busy(entry);
	transport_on_end(entry->job->transport);
	destination_update(entry->destination);
	job_free_if_done(entry->job);
}

/* ---- taking out ---- */

/* The entries of one peer, which is gone afterwards. */
static size_t take_out_all(struct peer *peer, struct list *ret_entries)
{
	size_t count = 0;
	bool is_last;

	do {
		struct entry *entry = CONTAINER_OF(peer->entries.next, struct entry, link);

		is_last = entry->link.next == &peer->entries;
		take_out(entry);
		list_append(ret_entries, &entry->link);
		count++;
	} while (!is_last);
	return count;
}

/* Nobody is behind the retry service: what waits for it is deferred here. */
static void defer_entries(struct message *message, struct list *entries, const char *status,
			  const char *reason)
{
	while (!list_is_empty(entries)) {
		struct entry *entry = CONTAINER_OF(entries->next, struct entry, link);

		list_remove(&entry->link);
		for (size_t i = 0; i < entry->count; i++)
			outcomes_defer(entry->portion, entry->rcpts[i], status, reason);
	}
	outcomes_send(message);
	message_progress(message);
}

static void count_in(struct list *entries, struct transport *transport)
{
	LIST_FOR(item, entries) {
		struct entry *entry = CONTAINER_OF(item, struct entry, link);

		for (size_t i = 0; i < entry->count; i++)
			rcpt_count_in(entry->rcpts[i], transport);
	}
}

void schedule_suspend(struct destination *destination, const char *status, const char *reason)
{
	struct transport *retry = transport_get(SPAN("retry"));
	bool is_retry = destination->transport == retry;
	char *text = mem_printf("%s %s%s", status,
				destination->state == DESTINATION_DEAD
					? "delivery temporarily suspended: "
					: "",
				reason);
	struct heap_node *node;

	heap_remove(&destination->transport->ready, &destination->ready);
	destination->busy++; /* keeps it until the end of this function */
	while ((node = heap_first(&destination->peers)) != NULL) {
		struct peer *peer = CONTAINER_OF(node, struct peer, node);
		struct job *job = peer->job;
		struct message *message = job->message;
		struct list entries;
		size_t count;

		list_init(&entries);
		count = take_out_all(peer, &entries);
		if (!is_retry) {
			count_in(&entries, retry);
			peer_add(job_get(message, retry),
				 destination_get(retry, span_of(text), span_of(text)), &entries,
				 count);
		}
		job_free_if_done(job);
		if (is_retry)
			defer_entries(message, &entries, status, reason);
	}
	destination->busy--;
	free(text);
	destination_update(destination);
}

void schedule_drop(struct message *message)
{
	LIST_FOR_SAFE(job_item, &message->jobs) {
		struct job *job = CONTAINER_OF(job_item, struct job, message_link);

		while (!list_is_empty(&job->peers)) {
			struct peer *peer = CONTAINER_OF(job->peers.next, struct peer, link);
			struct destination *destination = peer->destination;

			take_out(CONTAINER_OF(peer->entries.next, struct entry, link));
			destination_update(destination);
		}
		if (job->busy == 0)
			job_free(job);
	}
}

/* ---- running ---- */

static struct list runnable = { &runnable, &runnable };
static struct event_timer run_timer;

static void run(struct transport *transport)
{
	struct entry *entry;

	while ((entry = schedule_pick(transport)) != NULL)
		if (!deliver_start(entry))
			break;
}

static void on_run(struct event_timer *timer)
{
	(void)timer;
	while (!list_is_empty(&runnable)) {
		struct transport *transport =
			CONTAINER_OF(runnable.next, struct transport, run_link);

		list_remove(&transport->run_link);
		run(transport);
	}
}

void schedule_soon(struct transport *transport)
{
	if (transport->run_link.next != &transport->run_link)
		return;
	list_append(&runnable, &transport->run_link);
	if (!event_is_set(&run_timer))
		event_at(&run_timer, clock_in_ms(0), on_run);
}
