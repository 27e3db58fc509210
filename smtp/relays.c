/* SPDX-License-Identifier: MIT */
/*
 * Which relays of a list work: where relayhost, a transport or smtp_fallback_relay name several, the
 * one that failed is not the first to be tried for a while; smtp(8).
 *
 * The memory is a mapping that the template makes and its workers share. So to know costs nothing for a
 * message, no process need be asked, and none is there to die; what is lost is that two services of
 * master.cf learn it each for itself, and again after a reload. It holds no more than hashes of names and
 * times: a worker that was taken over can put relays out of order and nothing else.
 */

#include "smtp.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "conf/conf.h"

enum {
	SLOTS = 256,
	REACH = 16,                 /* slots that are looked at for one relay */
	PROBE_MS = 5 * 60 * 1000,   /* a probe that has come to nothing by then counts as lost */
};

/* Zero: free. What a slot says may change between any two looks at it: nothing depends on more. */
struct slot {
	_Atomic uint64_t key;
	_Atomic uint32_t failures;   /* in a row; 0: it works */
	_Atomic int64_t down_until;  /* microseconds of the monotonic clock */
	_Atomic int64_t probe_until; /* somebody tries it, until then */
};

static struct {
	struct slot *slots; /* NULL: nothing is remembered */
	struct siphash_key key;
} self;

void relays_prepare(void)
{
	if (conf->smtp_relay_minimal_backoff_time == 0)
		return;
	if (getrandom(&self.key, sizeof(self.key), 0) != (ssize_t)sizeof(self.key))
		fatal("getrandom: no random numbers");
	self.slots = mem_shared(SLOTS * sizeof(struct slot));
}

/* ---- slots ---- */

static uint64_t key_of(struct span text)
{
	char lower[1024];
	size_t n = text.n < sizeof(lower) ? text.n : sizeof(lower);

	for (size_t i = 0; i < n; i++)
		lower[i] = ascii_lower(text.p[i]);
	return siphash(&self.key, (struct span){ lower, n }) | 1;
}

/* The slot of a relay. NULL: nothing is known of it, or with `makes` there is no room to remember. */
static struct slot *find(struct span text, bool makes)
{
	uint64_t key = key_of(text);

	if (self.slots == NULL)
		return NULL;
	for (size_t i = 0; i < REACH; i++) {
		struct slot *slot = &self.slots[(key / 2 + i) % SLOTS];

		if (atomic_load(&slot->key) == key)
			return slot;
	}
	/* A slot of a relay that works says no more than one that is free. */
	for (size_t i = 0; i < REACH && makes; i++) {
		struct slot *slot = &self.slots[(key / 2 + i) % SLOTS];
		uint64_t old = atomic_load(&slot->key);

		if (atomic_load(&slot->failures) == 0 &&
		    atomic_compare_exchange_strong(&slot->key, &old, key))
			return slot;
	}
	return NULL;
}

/* ---- the order ---- */

/*
 * Whether it is to be tried in its place. One that is out of service is when its time is over and no
 * other comes before it, by one worker: the others go on without it until that one knows more.
 */
static bool is_in_service(const struct target *target, bool is_first)
{
	struct slot *slot = find(target->text, false);
	int64_t now = clock_mono_now().us, lease;

	if (slot == NULL || atomic_load(&slot->failures) == 0)
		return true;
	lease = atomic_load(&slot->probe_until);
	if (!is_first || now < atomic_load(&slot->down_until) || now < lease ||
	    !atomic_compare_exchange_strong(&slot->probe_until, &lease,
					    now + (int64_t)PROBE_MS * 1000))
		return false;
	log_info("relay %s is tried again", log_clean(target->text));
	return true;
}

void relays_order(struct arena *arena, struct target *targets, size_t count)
{
	struct target *later = arena_alloc(arena, (count + 1) * sizeof(*later));
	size_t first = 0, last = 0;

	if (self.slots == NULL || count < 2)
		return;
	for (size_t i = 0; i < count; i++) {
		targets[i].is_one_of_several = true;
		if (is_in_service(&targets[i], first == 0))
			targets[first++] = targets[i];
		else
			later[last++] = targets[i];
	}
	memcpy(&targets[first], later, last * sizeof(*later));
}

/* ---- what was found ---- */

static void note_failure(const struct target *target, struct slot *slot, struct span reason)
{
	int64_t now = clock_mono_now().us, down = atomic_load(&slot->down_until);
	uint32_t failures = atomic_load(&slot->failures);
	int64_t wait_s = conf->smtp_relay_minimal_backoff_time;

	/* It was the last hope for a message, and is no worse than it was; or another worker says it. */
	if ((failures > 0 && now < down) ||
	    !atomic_compare_exchange_strong(&slot->failures, &failures, failures + 1))
		return;
	for (uint32_t i = 0; i < failures && wait_s < conf->smtp_relay_maximal_backoff_time; i++)
		wait_s *= 2;
	if (wait_s > conf->smtp_relay_maximal_backoff_time)
		wait_s = conf->smtp_relay_maximal_backoff_time;
	atomic_store(&slot->down_until, now + wait_s * 1000000);
	atomic_store(&slot->probe_until, 0);
	log_warn("relay %s is %s service for %lld seconds: %s", log_clean(target->text),
		 failures > 0 ? "still out of" : "out of", (long long)wait_s, log_clean(reason));
}

void relays_note(const struct transfer *transfer, const struct target *target, bool is_well)
{
	struct slot *slot;

	if (!target->is_one_of_several)
		return;
	slot = find(target->text, !is_well);
	if (slot == NULL)
		return;
	if (!is_well)
		note_failure(target, slot, buf_span(&transfer->why.reason));
	else if (atomic_exchange(&slot->failures, 0) > 0)
		log_info("relay %s is back in service", log_clean(target->text));
}

/* ---- whom a refusal is about ---- */

static bool says(const struct smtp_reply *reply, const char *words)
{
	struct span text = buf_span(&reply->text), wanted = span_of(words);

	for (size_t i = 0; i + wanted.n <= text.n; i++)
		if (span_eq_nocase(span_first(span_from(text, i), wanted.n), wanted))
			return true;
	return false;
}

bool relays_is_refusal(const struct smtp_reply *reply)
{
	static const char *const words[] = { "too many", "quota", "rate limit", "limit exceeded",
					     "exceeded the", "throttl" };

	if (reply->code == 421 || reply->code == 454)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(words) && reply->code / 100 == 4; i++)
		if (says(reply, words[i]))
			return true;
	return false;
}
