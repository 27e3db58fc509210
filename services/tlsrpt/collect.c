/* SPDX-License-Identifier: MIT */
/*
 * What is known of each domain now: whether it wants reports, and how its TLS sessions went in this
 * period. Runs in tlsrpt. smtp is trusted to have looked at a session; texts in notes are those of
 * servers. Everything is bounded: beyond a limit a session is not counted, and the log says so once.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/event.h"
#include "base/htab.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/domain.h"
#include "mail/tlsrpt.h"
#include "services/tlsrpt/tlsrpt.h"

enum {
	DOMAINS_MAX = 20000,
	BYTES_MAX = 64 * 1024 * 1024, /* of texts in sums */
	WAITING_MAX = 4096,           /* sessions of domains that are being looked up ... */
	WAITING_OF_ONE_MAX = 64,      /* ... and of one of them */
	NOTE_BYTES_MAX = 16 * 1024,
	SAVE_MS = 5000,
	UNWANTED_MS = 3600 * 1000,
	FAILED_MS = 60 * 1000,
	DAY_S = 86400,
};

enum state { STATE_LOOKING, STATE_WANTED, STATE_UNWANTED };

struct domain {
	char *name;
	enum state state;
	bool is_asked;           /* LOOKING: the question is under way */
	struct clock_mono until; /* UNWANTED, or LOOKING and failed: not asked again before */
	struct buf record;       /* WANTED: TXT */
	int64_t begin_s;
	struct sums sums;
	bool is_dirty;
	struct list waiting;     /* notes, until it is known */
	size_t waiting_count;
};

struct waiting {
	struct list link;
	struct buf note; /* encoded */
};

static struct {
	struct htab domains;
	size_t bytes, waiting;
	bool has_complained; /* since the last end of a day */
	struct event_timer save_timer, day_timer;
} self;

static int64_t now_s(void)
{
	return clock_wall_now().us / 1000000;
}

static void complain(const char *what)
{
	if (!self.has_complained)
		log_warn("%s: results of TLS sessions are left out of reports", what);
	self.has_complained = true;
}

/* ---- domains ---- */

static void drop_waiting(struct domain *domain)
{
	while (!list_is_empty(&domain->waiting)) {
		struct waiting *waiting = CONTAINER_OF(domain->waiting.next, struct waiting, link);

		list_remove(&waiting->link);
		buf_done(&waiting->note);
		free(waiting);
		self.waiting--;
	}
	domain->waiting_count = 0;
}

static void domain_free(struct domain *domain)
{
	drop_waiting(domain);
	self.bytes -= domain->sums.bytes;
	sums_done(&domain->sums);
	buf_done(&domain->record);
	free(domain->name);
	free(domain);
}

/* Forgets those that nothing is collected for, when their time is over, or all of them. */
static void forget_unwanted(bool all)
{
	struct htab_slot *cursor = NULL;
	struct span name;
	void *value;

	while (htab_next(&self.domains, &cursor, &name, &value)) {
		struct domain *domain = value;

		if (domain->state == STATE_WANTED || domain->is_asked ||
		    (!all && !clock_is_past(domain->until)))
			continue;
		(void)htab_remove(&self.domains, name);
		domain_free(domain);
	}
}

static struct domain *domain_new(struct span name)
{
	struct domain *domain;

	if (self.domains.count >= DOMAINS_MAX)
		forget_unwanted(false);
	if (self.domains.count >= DOMAINS_MAX)
		forget_unwanted(true);
	if (self.domains.count >= DOMAINS_MAX) {
		complain("too many domains");
		return NULL;
	}
	domain = NEW(struct domain);
	domain->name = mem_dup(name);
	domain->begin_s = now_s();
	buf_init(&domain->record, TLSRPT_RECORD_MAX);
	list_init(&domain->waiting);
	(void)htab_put(&self.domains, name, domain);
	return domain;
}

/* ---- files ---- */

static struct msg_tlsrpt_period period_of(const struct domain *domain, int64_t end_s)
{
	return (struct msg_tlsrpt_period){ .domain = span_of(domain->name),
					   .begin_s = domain->begin_s, .end_s = end_s };
}

static void save_domain(struct domain *domain)
{
	struct msg_tlsrpt_period period = period_of(domain, 0);

	if (domain->is_dirty)
		(void)store_write(&period, &domain->sums);
	/* What could not be written is written with the next session, if that is possible then. */
	domain->is_dirty = false;
}

void collect_save(void)
{
	struct htab_slot *cursor = NULL;
	struct span name;
	void *value;

	event_cancel(&self.save_timer);
	while (htab_next(&self.domains, &cursor, &name, &value))
		save_domain(value);
}

static void on_save_time(struct event_timer *timer)
{
	(void)timer;
	collect_save();
}

/* ---- sessions ---- */

static void count(struct domain *domain, const struct msg_tlsrpt_note *note)
{
	size_t before = domain->sums.bytes;

	if (forward_is_wanted()) {
		forward_note(note, buf_span(&domain->record));
		return;
	}
	if (!sums_add(&domain->sums, note, self.bytes < BYTES_MAX))
		complain("too many policies, or too much text");
	self.bytes += domain->sums.bytes - before;
	domain->is_dirty = true;
	if (!event_is_set(&self.save_timer))
		event_at(&self.save_timer, clock_in_ms(SAVE_MS), on_save_time);
}

static void keep_waiting(struct domain *domain, const struct msg_tlsrpt_note *note)
{
	struct waiting *waiting;

	if (domain->waiting_count == WAITING_OF_ONE_MAX || self.waiting == WAITING_MAX) {
		complain("the DNS does not answer");
		return;
	}
	waiting = NEW(struct waiting);
	buf_init(&waiting->note, NOTE_BYTES_MAX);
	if (!msg_tlsrpt_note_encode(&waiting->note, note)) {
		free(waiting);
		return;
	}
	list_append(&domain->waiting, &waiting->link);
	domain->waiting_count++;
	self.waiting++;
}

static void ask(struct domain *domain)
{
	if (domain->is_asked || !clock_is_past(domain->until))
		return;
	domain->is_asked = lookup_begin(span_of(domain->name));
	if (!domain->is_asked)
		domain->until = clock_in_ms(FAILED_MS);
}

void collect_looked_up(struct span name, enum lookup_result result, struct span record)
{
	struct domain *domain = htab_get(&self.domains, name);

	if (domain == NULL || domain->state != STATE_LOOKING)
		return;
	domain->is_asked = false;
	switch (result) {
	case LOOKUP_FAILED: domain->until = clock_in_ms(FAILED_MS); return;
	case LOOKUP_UNWANTED:
		domain->state = STATE_UNWANTED;
		domain->until = clock_in_ms(UNWANTED_MS);
		break;
	case LOOKUP_WANTED:
		domain->state = STATE_WANTED;
		(void)buf_set(&domain->record, record);
		LIST_FOR(link, &domain->waiting) {
			struct waiting *waiting = CONTAINER_OF(link, struct waiting, link);
			struct span rest = buf_span(&waiting->note);
			struct msg_tlsrpt_note note;

			if (msg_tlsrpt_note_decode(&rest, &note))
				count(domain, &note);
		}
		break;
	}
	drop_waiting(domain);
}

static bool is_sound(const struct msg_tlsrpt_note *note)
{
	return domain_check_name(note->domain, false) == DOMAIN_OK &&
	       tlsrpt_policy_name(note->policy_type) != NULL &&
	       (note->failure == TLSRPT_SUCCESS || tlsrpt_failure_name(note->failure) != NULL);
}

bool collect_note(const struct msg_tlsrpt_note *note)
{
	struct buf name = BUF_INIT(256);
	struct domain *domain;

	if (!is_sound(note))
		return false;
	for (size_t i = 0; i < note->domain.n; i++)
		(void)buf_char(&name, ascii_lower(note->domain.p[i]));
	domain = htab_get(&self.domains, buf_span(&name));
	if (domain != NULL && domain->state == STATE_UNWANTED && clock_is_past(domain->until))
		domain->state = STATE_LOOKING;
	if (domain == NULL)
		domain = domain_new(buf_span(&name));
	buf_done(&name);
	if (domain == NULL)
		return true;
	if (domain->state == STATE_WANTED) {
		count(domain, note);
	} else if (domain->state == STATE_LOOKING) {
		keep_waiting(domain, note);
		ask(domain);
	}
	return true;
}

/* ---- periods ---- */

/* RFC 8460 4.1: the last second counts. An administrator may want two periods in one second. */
static void end_period(struct domain *domain, int64_t end_s, bool is_urgent)
{
	struct msg_tlsrpt_period period =
		period_of(domain, end_s > domain->begin_s ? end_s : domain->begin_s);

	if (domain->sums.count == 0)
		return;
	if (!store_write(&period, &domain->sums))
		return;
	outbox_add(&period, is_urgent);
	self.bytes -= domain->sums.bytes;
	sums_done(&domain->sums);
	domain->is_dirty = false;
	domain->begin_s = period.end_s + 1;
}

void collect_end_periods(struct span only)
{
	struct htab_slot *cursor = NULL;
	struct span name;
	void *value;

	while (htab_next(&self.domains, &cursor, &name, &value))
		if (only.n == 0 || span_eq_nocase(only, name))
			end_period(value, now_s(), true);
}

static void on_day_end(struct event_timer *timer);

static void await_day_end(void)
{
	int64_t now = now_s();

	event_at(&self.day_timer, clock_in_ms((now / DAY_S * DAY_S + DAY_S - now) * 1000 + 1),
		 on_day_end);
}

/* The day before this one is over: its sums go, and what was known of domains is asked anew. */
static void on_day_end(struct event_timer *timer)
{
	int64_t today_s = now_s() / DAY_S * DAY_S;
	struct htab_slot *cursor = NULL;
	struct span name;
	void *value;

	(void)timer;
	while (htab_next(&self.domains, &cursor, &name, &value)) {
		struct domain *domain = value;

		if (domain->begin_s < today_s)
			end_period(domain, today_s - 1, false);
		if (domain->is_asked || domain->sums.count > 0)
			continue;
		(void)htab_remove(&self.domains, name);
		domain_free(domain);
	}
	self.has_complained = false;
	await_day_end();
}

/* ---- the beginning ---- */

/* A period that goes on is taken up; its domain wanted reports when it began. */
static void resume(const struct msg_tlsrpt_period *period, struct sums *sums)
{
	struct domain *domain = htab_get(&self.domains, period->domain);

	if (domain == NULL)
		domain = domain_new(period->domain);
	if (domain == NULL || domain->sums.count > 0) {
		sums_done(sums);
		return;
	}
	domain->begin_s = period->begin_s;
	domain->sums = *sums;
	self.bytes += sums->bytes;
	*sums = (struct sums){ 0 };
	if (period->begin_s < now_s() / DAY_S * DAY_S)
		end_period(domain, period->begin_s / DAY_S * DAY_S + DAY_S - 1, false);
}

void collect_start(void)
{
	struct buf names = BUF_INIT(DOMAINS_MAX * STORE_NAME_MAX), wire = BUF_INIT(STORE_BYTES_MAX);
	struct msg_tlsrpt_period period;
	struct span rest, name;
	struct sums sums;

	store_list(&names);
	rest = buf_span(&names);
	while (span_cut(rest, '\0', &name, &rest)) {
		if (!store_read(name.p, &wire, &period, &sums)) {
			store_remove(name.p);
			continue;
		}
		if (period.end_s == 0)
			resume(&period, &sums);
		else
			outbox_add(&period, false);
		sums_done(&sums);
	}
	buf_done(&names);
	buf_done(&wire);
	await_day_end();
}

void collect_list(struct span only, struct buf *out)
{
	struct htab_slot *cursor = NULL;
	uint64_t successes, failures;
	struct span name;
	void *value;

	while (htab_next(&self.domains, &cursor, &name, &value)) {
		const struct domain *domain = value;

		if (domain->sums.count == 0 || (only.n > 0 && !span_eq_nocase(only, name)))
			continue;
		sums_totals(&domain->sums, &successes, &failures);
		(void)buf_printf(out, "%s since %" PRId64 ": %" PRIu64 " successful, %" PRIu64 " failed\n",
				 domain->name, domain->begin_s, successes, failures);
	}
}
