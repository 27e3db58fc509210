/* SPDX-License-Identifier: MIT */
/*
 * Periods that have ended, and when each is reported: some time after its end, spread over
 * tlsrpt_report_delay so that not everybody reports at midnight (RFC 8460 4.1), and again for a day
 * where that fails for now. Each report is made by a child, one at a time; what it has to say for
 * people comes through a pipe. Runs in tlsrpt.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/event.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "services/tlsrpt/tlsrpt.h"

enum { RETRY_S = 3600, GIVE_UP_S = 2 * 86400, ENTRIES_MAX = 60000, OUTPUT_MAX = 60000 };

struct entry {
	struct list link;
	char *domain;
	int64_t begin_s, end_s;
	int64_t due_s;     /* since 1970 */
	bool is_watched;   /* the administrator waits for it */
};

static struct {
	struct list entries;
	size_t count;
	struct event_timer timer;
	struct entry *entry; /* that is being reported, or NULL */
	pid_t child;
	struct event_fd pipe;
	struct buf output;
	void (*on_line)(struct span line, bool is_last, void *context);
	void *context;
} self = { .entries = { &self.entries, &self.entries }, .output = BUF_INIT(OUTPUT_MAX) };

static int64_t now_s(void)
{
	return clock_wall_now().us / 1000000;
}

static void entry_name(const struct entry *entry, char ret_name[STORE_NAME_MAX])
{
	store_name(span_of(entry->domain), entry->begin_s, ret_name);
}

static void entry_free(struct entry *entry)
{
	list_remove(&entry->link);
	self.count--;
	free(entry->domain);
	free(entry);
}

/* ---- who waits ---- */

static void tell(struct span lines)
{
	struct span line;

	while (self.on_line != NULL && span_line(&lines, &line))
		self.on_line(line, false, self.context);
}

/* The end, when nothing is left that somebody waits for. */
static void tell_end(void)
{
	void (*on_line)(struct span line, bool is_last, void *context) = self.on_line;

	LIST_FOR(link, &self.entries)
		if (CONTAINER_OF(link, struct entry, link)->is_watched)
			return;
	self.on_line = NULL;
	if (on_line != NULL)
		on_line(SPAN(""), true, self.context);
}

void outbox_watch(void (*on_line)(struct span line, bool is_last, void *context), void *context)
{
	/* One at a time: who came before does not wait any more. */
	if (self.on_line != NULL)
		self.on_line(SPAN(""), true, self.context);
	self.on_line = on_line;
	self.context = context;
	tell_end();
}

void outbox_unwatch(void *context)
{
	if (self.context != context)
		return;
	self.on_line = NULL;
	LIST_FOR(link, &self.entries)
		CONTAINER_OF(link, struct entry, link)->is_watched = false;
}

/* ---- one report ---- */

static void run_next(void);

/* In the child: everything is done here, and nothing of the parent's loop is touched. */
NORETURN static void run_child(const struct entry *entry, int fd)
{
	struct buf lines = BUF_INIT(OUTPUT_MAX);
	char name[STORE_NAME_MAX];
	enum deliver_result result;

	entry_name(entry, name);
	result = deliver_file(name, &lines);
	/* A pipe takes that much at once; who does not read it has gone. */
	(void)!write(fd, buf_str(&lines), lines.length);
	_exit(result == DELIVER_DONE ? 0 : 1);
}

static void finish(bool is_done)
{
	struct entry *entry = self.entry;
	char name[STORE_NAME_MAX];

	self.entry = NULL;
	tell(buf_span(&self.output));
	buf_reset(&self.output);
	entry->is_watched = false;
	if (!is_done && now_s() < entry->end_s + GIVE_UP_S) {
		entry->due_s = now_s() + RETRY_S;
	} else {
		if (!is_done)
			log_warn("the TLS report for %s could not be delivered for too long",
				 log_clean_str(entry->domain));
		entry_name(entry, name);
		store_remove(name);
		entry_free(entry);
	}
	tell_end();
	run_next();
}

/* What the child says, and its end. */
static void on_pipe(struct event_fd *watch, unsigned events)
{
	char *room = buf_room(&self.output, 4096);
	char waste[4096];
	int fd = watch->fd, status = 0;
	ssize_t size = read(fd, room != NULL ? room : waste, 4096);

	(void)events;
	if (size > 0 && room != NULL)
		buf_grew(&self.output, (size_t)size);
	if (size > 0 || (size < 0 && (errno == EINTR || errno == EAGAIN)))
		return;
	event_unwatch(&self.pipe);
	(void)close(fd);
	while (waitpid(self.child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		log_warn("the process that reports to %s died of signal %d",
			 log_clean_str(self.entry->domain), WTERMSIG(status));
	finish(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void begin(struct entry *entry)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0) {
		log_warn("pipe: %s", strerror(errno));
		entry->due_s = now_s() + RETRY_S;
		entry->is_watched = false;
		return;
	}
	self.child = fork();
	if (self.child == 0) {
		(void)close(fds[0]);
		run_child(entry, fds[1]);
	}
	(void)close(fds[1]);
	if (self.child < 0) {
		log_warn("fork: %s", strerror(errno));
		(void)close(fds[0]);
		entry->due_s = now_s() + RETRY_S;
		entry->is_watched = false;
		return;
	}
	self.entry = entry;
	event_watch(&self.pipe, fds[0], EPOLLIN, on_pipe);
}

static void on_time(struct event_timer *timer)
{
	(void)timer;
	run_next();
}

/* Begins with what is due, or waits until something is. */
static void run_next(void)
{
	struct entry *first = NULL;
	int64_t wait_s;

	event_cancel(&self.timer);
	if (self.entry != NULL)
		return;
	LIST_FOR(link, &self.entries) {
		struct entry *entry = CONTAINER_OF(link, struct entry, link);

		if (first == NULL || entry->due_s < first->due_s)
			first = entry;
	}
	if (first != NULL && first->due_s <= now_s()) {
		begin(first);
		if (self.entry != NULL)
			return;
		tell_end();
	}
	if (first == NULL)
		return;
	/* Not longer than a minute: the clock may be set meanwhile. */
	wait_s = first->due_s - now_s();
	event_at(&self.timer, clock_in_ms((wait_s < 1 ? 1 : wait_s > 60 ? 60 : wait_s) * 1000),
		 on_time);
}

/* ---- what waits ---- */

void outbox_add(const struct msg_tlsrpt_period *period, bool is_urgent)
{
	struct entry *entry = NEW(struct entry);
	uint64_t spread = conf->tlsrpt_report_delay > 0 ? (uint64_t)conf->tlsrpt_report_delay : 1;
	char name[STORE_NAME_MAX];

	entry->domain = mem_dup(period->domain);
	entry->begin_s = period->begin_s;
	entry->end_s = period->end_s;
	entry_name(entry, name);
	/* The same after a restart. */
	entry->due_s = is_urgent ? 0
				 : period->end_s + 1 +
					   (int64_t)(crc32c(0, name, strlen(name)) % spread);
	entry->is_watched = is_urgent;
	list_append(&self.entries, &entry->link);
	if (++self.count > ENTRIES_MAX) {
		log_warn("too many TLS reports wait: the one for %s is dropped",
			 log_clean(period->domain));
		store_remove(name);
		entry_free(entry);
	}
	if (self.entry == NULL)
		event_at(&self.timer, clock_in_ms(0), on_time);
}

void outbox_hurry(struct span only)
{
	LIST_FOR(link, &self.entries) {
		struct entry *entry = CONTAINER_OF(link, struct entry, link);

		if (only.n > 0 && !span_eq_nocase(only, span_of(entry->domain)))
			continue;
		entry->due_s = 0;
		entry->is_watched = true;
	}
	if (self.entry == NULL)
		event_at(&self.timer, clock_in_ms(0), on_time);
}

void outbox_list(struct span only, struct buf *out)
{
	LIST_FOR(link, &self.entries) {
		const struct entry *entry = CONTAINER_OF(link, struct entry, link);

		if (only.n == 0 || span_eq_nocase(only, span_of(entry->domain)))
			(void)buf_printf(out, "%s from %" PRId64 " to %" PRId64 ": is sent at %" PRId64 "\n",
					 entry->domain, entry->begin_s, entry->end_s,
					 entry->due_s);
	}
}
