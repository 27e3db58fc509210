/* SPDX-License-Identifier: MIT */
/* Services and their processes; see unit.h. Runs as root in master's event loop; what templates
 * say is read as events and never waited for. */

#include "master/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "master/values.h"
#include "proc/service.h"

enum { FIRST_PAUSE_MS = 250, QUICK_DEATH_MS = 10000, FIRST_LISTENER_FD = 8, FAILURES_AT_START = 3,
       LAST_WAIT_MS = 1000 };

static struct {
	struct list units;
	bool is_ready; /* list initialised */
	struct unit_pipes pipes;
	void (*on_change)(void);
	bool is_stopping;
} all;

static void start_generation(struct unit *unit);
static void on_pause_over(struct event_timer *timer);

struct list *units_all(void)
{
	if (!all.is_ready)
		list_init(&all.units);
	all.is_ready = true;
	return &all.units;
}

void units_setup(const struct unit_pipes *pipes, void (*on_change)(void))
{
	all.pipes = *pipes;
	all.on_change = on_change;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		fatal("prctl: %s", strerror(errno));
}

struct unit *unit_find(const char *name, const char *type)
{
	LIST_FOR(item, units_all()) {
		struct unit *unit = CONTAINER_OF(item, struct unit, link);

		if (strcmp(unit->wanted.name, name) == 0 && strcmp(unit->wanted.type, type) == 0)
			return unit;
	}
	return NULL;
}

struct unit *unit_new(const char *name, const char *type)
{
	struct unit *unit = NEW(struct unit);

	unit->wanted.name = mem_dup_str(name);
	unit->wanted.type = mem_dup_str(type);
	sockets_init(&unit->wanted.sockets);
	list_init(&unit->generations);
	list_append(units_all(), &unit->link);
	return unit;
}

static void unit_free(struct unit *unit)
{
	event_cancel(&unit->pause_timer);
	event_cancel(&unit->wakeup_timer);
	sockets_mark(&unit->wanted.sockets);
	sockets_sweep(&unit->wanted.sockets);
	list_remove(&unit->link);
	free(unit->wanted.name);
	free(unit->wanted.type);
	free(unit->wanted.program);
	free(unit->wanted.path);
	free(unit);
}

/* The last one that has a template. */
static struct generation *newest(struct unit *unit)
{
	struct generation *last = NULL;

	LIST_FOR(item, &unit->generations) {
		struct generation *generation = CONTAINER_OF(item, struct generation, link);

		if (generation->state != GEN_LEFT)
			last = generation;
	}
	return last;
}

static void tell(struct generation *generation, enum service_event_kind event, uint32_t value)
{
	struct msg_service_event message = { .event = event, .value = value };

	(void)!IPC_SEND(&generation->channel, service_event, &message, -1, clock_in_ms(0));
}

static void drain_generation(struct generation *generation)
{
	if (generation->state == GEN_LEFT)
		return;
	/* One that drains already, in no hurry, hears of the stop as well. */
	if (generation->state == GEN_DRAINING && !all.is_stopping)
		return;
	generation->state = GEN_DRAINING;
	tell(generation, EVENT_DRAIN, all.is_stopping || generation->unit->is_retired);
}

/* ---- starting a process ---- */

/* Numbers of the listeners as the child will see them, "8 smtpd 9 @public". */
static void name_listeners(struct unit *unit, struct buf *text)
{
	int fd = FIRST_LISTENER_FD;

	LIST_FOR(item, &unit->wanted.sockets.sockets) {
		struct service_socket *s = CONTAINER_OF(item, struct service_socket, link);

		(void)buf_printf(text, "%s%d %s", text->length > 0 ? " " : "", fd++, s->client);
	}
}

/*
 * Puts `source` at `target` in the child. All sources were moved above every target before, so
 * that none is overwritten before its turn.
 */
static void place_fd(int source, int target)
{
	if (dup2(source, target) < 0)
		_exit(1);
}

static int move_high(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 512);

	if (high < 0)
		_exit(1);
	return high;
}

/* In the child, between fork and exec: only calls that are safe there. */
NORETURN static void exec_program(struct unit *unit, int snapshot, int channel)
{
	struct service_socket *s;
	int high[3] = { move_high(snapshot), move_high(channel), move_high(all.pipes.log_write) };
	int log_read = unit->wanted.is_log ? move_high(all.pipes.log_read) : -1;
	int target = FIRST_LISTENER_FD;
	sigset_t none;

	LIST_FOR(item, &unit->wanted.sockets.sockets) {
		s = CONTAINER_OF(item, struct service_socket, link);
		place_fd(move_high(s->fd), target++);
	}
	for (int i = 0; i < 3; i++)
		place_fd(high[i], 3 + i);
	if (log_read >= 0)
		place_fd(log_read, 6);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();

	char *const argv[] = { unit->wanted.program, (char[]){ "-n" }, unit->wanted.name,
			       (char[]){ "-t" }, unit->wanted.type, NULL };

	(void)execv(unit->wanted.path, argv);
	_exit(127);
}

static void on_generation(struct event_fd *watch, unsigned events);

/* Not while only an older generation does, since its successor did not get that far. */
static bool serves(struct unit *unit)
{
	const struct generation *last = newest(unit);

	return last != NULL && last->state == GEN_SERVING && !unit->must_start;
}

/* Whether all serve but those that start last. */
static bool others_serve(void)
{
	LIST_FOR(item, units_all()) {
		struct unit *unit = CONTAINER_OF(item, struct unit, link);

		if (!unit->is_retired && !unit->wanted.is_last && !serves(unit))
			return false;
	}
	return true;
}

static void start_generation(struct unit *unit)
{
	struct buf listeners = BUF_INIT(65536);
	struct generation *generation;
	int pair[2], snapshot;
	pid_t pid;

	name_listeners(unit, &listeners);
	snapshot = values_write(&unit->wanted, buf_str(&listeners));
	buf_done(&listeners);
	if (snapshot < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		fatal("%s: cannot start: %s", unit->wanted.name, strerror(errno));
	pid = fork();
	if (pid == 0)
		exec_program(unit, snapshot, pair[1]);
	(void)close(snapshot);
	(void)close(pair[1]);
	if (pid < 0) {
		log_warn("fork for %s: %s", unit->wanted.name, strerror(errno));
		(void)close(pair[0]);
		unit->must_start = true;
		event_at(&unit->pause_timer, clock_in_ms((int64_t)conf->fork_delay * 1000),
			 on_pause_over);
		return;
	}
	unit->must_start = unit->waits = false;
	generation = NEW(struct generation);
	generation->unit = unit;
	generation->pid = pid;
	generation->started = clock_mono_now();
	ipc_attach(&generation->channel, pair[0]);
	list_append(&unit->generations, &generation->link);
	event_watch(&generation->watch, pair[0], EPOLLIN, on_generation);
}

static void on_pause_over(struct event_timer *timer)
{
	struct unit *unit = CONTAINER_OF(timer, struct unit, pause_timer);

	if (unit->must_start && !unit->is_retired)
		unit_renew(unit);
}

void unit_renew(struct unit *unit)
{
	struct generation *running = newest(unit);

	if (unit->is_retired || all.is_stopping)
		return;
	if (event_is_set(&unit->pause_timer)) {
		unit->must_start = true;
		return;
	}
	if (unit->wanted.is_alone && !list_is_empty(&unit->generations)) {
		unit->must_start = true;
		if (running != NULL)
			drain_generation(running);
		return;
	}
	if (unit->wanted.is_last && !unit->has_waited && !others_serve()) {
		unit->waits = unit->has_waited = unit->must_start = true;
		event_at(&unit->pause_timer, clock_in_ms(LAST_WAIT_MS), on_pause_over);
		return;
	}
	if (running != NULL && running->state == GEN_STARTING)
		drain_generation(running);
	start_generation(unit);
}

/* The others serve. */
static void end_waits(void)
{
	LIST_FOR(item, units_all()) {
		struct unit *unit = CONTAINER_OF(item, struct unit, link);

		if (!unit->waits)
			continue;
		event_cancel(&unit->pause_timer);
		unit_renew(unit);
	}
}

void unit_forgive(struct unit *unit)
{
	event_cancel(&unit->pause_timer);
	unit->pause_ms = unit->failures = 0;
}

void unit_retire(struct unit *unit)
{
	unit->is_retired = true;
	unit->must_start = false;
	event_cancel(&unit->wakeup_timer);
	if (list_is_empty(&unit->generations)) {
		unit_free(unit);
		return;
	}
	sockets_mark(&unit->wanted.sockets);
	sockets_sweep(&unit->wanted.sockets);
	LIST_FOR(item, &unit->generations)
		drain_generation(CONTAINER_OF(item, struct generation, link));
}

/* ---- what templates say ---- */

static void on_wakeup(struct event_timer *timer)
{
	struct unit *unit = CONTAINER_OF(timer, struct unit, wakeup_timer);
	struct generation *running = newest(unit);

	if (running != NULL && running->state == GEN_SERVING)
		tell(running, EVENT_WAKEUP, 0);
	event_at(timer, clock_in_ms((int64_t)unit->wanted.wakeup_seconds * 1000), on_wakeup);
}

static void now_serves(struct generation *generation)
{
	struct unit *unit = generation->unit;

	if (generation->state != GEN_STARTING)
		return;
	generation->state = GEN_SERVING;
	unit->failures = 0;
	unit->why[0] = '\0';
	LIST_FOR(item, &unit->generations) {
		struct generation *older = CONTAINER_OF(item, struct generation, link);

		if (older != generation)
			drain_generation(older);
	}
	event_cancel(&unit->wakeup_timer);
	if (unit->wanted.wakeup_seconds > 0)
		event_at(&unit->wakeup_timer,
			 clock_in_ms((int64_t)unit->wanted.wakeup_seconds * 1000), on_wakeup);
	if (others_serve())
		end_waits();
	all.on_change();
}

static void note_why(struct unit *unit, struct span text)
{
	(void)snprintf(unit->why, sizeof(unit->why), "%s", log_clean(text));
}

/* Its end can be seen before its last words. */
static void hear_last_words(struct generation *generation)
{
	struct msg_service_event message;

	while (IPC_EXPECT(&generation->channel, service_event, &message, clock_in_ms(0)) == IPC_OK)
		if (message.event == EVENT_FAILED)
			note_why(generation->unit, message.text);
}

static void on_generation(struct event_fd *watch, unsigned events)
{
	struct generation *generation = CONTAINER_OF(watch, struct generation, watch);
	struct msg_service_event message;
	enum ipc_status status =
		IPC_EXPECT(&generation->channel, service_event, &message, clock_in_ms(0));

	(void)events;
	if (status == IPC_TIMEOUT)
		return;
	if (status != IPC_OK) {
		/* Gone, or talking nonsense: its end is seen as that of a child. */
		event_unwatch(watch);
		return;
	}
	if (message.event == EVENT_READY) {
		now_serves(generation);
	} else if (message.event == EVENT_FAILED) {
		note_why(generation->unit, message.text);
	} else if (message.event == EVENT_RENEW && generation->state == GEN_SERVING) {
		log_info("%s: %s: starting anew", generation->unit->wanted.name,
			 log_clean(message.text));
		unit_renew(generation->unit);
	}
}

static void explain_end(const struct generation *generation, int status)
{
	const struct wanted *wanted = &generation->unit->wanted;

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		log_warn("process %s pid %d: watchdog timeout", wanted->path, generation->pid);
	else if (WIFSIGNALED(status))
		log_warn("process %s pid %d killed by signal %d", wanted->path, generation->pid,
			 WTERMSIG(status));
	else if (WEXITSTATUS(status) == 127)
		log_error("cannot run %s for the service %s", wanted->path, wanted->name);
	else if (WEXITSTATUS(status) != 0)
		log_warn("process %s pid %d exit status %d", wanted->path, generation->pid,
			 WEXITSTATUS(status));
}

/* The generation ended by itself: again, at once if it ran for a while, else after a pause. */
static void replace_lost(struct unit *unit, const struct generation *lost)
{
	bool was_quick = !clock_is_past(clock_add_ms(lost->started, QUICK_DEATH_MS));

	if (lost->state == GEN_STARTING)
		unit->failures++;
	if (!was_quick)
		unit->pause_ms = 0;
	unit->must_start = true;
	if (unit->pause_ms > 0 && !event_is_set(&unit->pause_timer)) {
		log_warn("%s: %s: trying again in %d ms -- throttling", unit->wanted.path,
			 lost->state == GEN_STARTING ? "bad command startup" : "ended", unit->pause_ms);
		event_at(&unit->pause_timer, clock_in_ms(unit->pause_ms), on_pause_over);
	}
	if (was_quick) {
		int most = conf->service_throttle_time * 1000;

		unit->pause_ms = unit->pause_ms > 0 ? unit->pause_ms * 2 : FIRST_PAUSE_MS;
		if (unit->pause_ms > most)
			unit->pause_ms = most;
	}
}

static struct generation *find_generation(pid_t pid)
{
	LIST_FOR(item, units_all()) {
		struct unit *unit = CONTAINER_OF(item, struct unit, link);

		LIST_FOR(child, &unit->generations) {
			struct generation *generation =
				CONTAINER_OF(child, struct generation, link);

			if (generation->pid == pid && generation->state != GEN_LEFT)
				return generation;
		}
	}
	return NULL;
}

/* Whether processes of the group live, or wait to be reaped. */
static bool has_workers(const struct generation *generation)
{
	return kill(-generation->pid, 0) == 0;
}

static void template_ended(struct generation *generation, int status)
{
	struct unit *unit = generation->unit;

	if (!all.is_stopping)
		explain_end(generation, status);
	if (generation->state == GEN_STARTING)
		hear_last_words(generation);
	if (generation->state != GEN_DRAINING)
		replace_lost(unit, generation);
	event_unwatch(&generation->watch);
	ipc_close(&generation->channel);
	generation->state = GEN_LEFT;
}

/*
 * Forgets the generations of which nothing is left. Their workers are children of master once the
 * template has gone (it is their subreaper), so a group cannot vanish and its number come back
 * unseen.
 */
static void forget_gone(void)
{
	LIST_FOR_SAFE(item, units_all()) {
		struct unit *unit = CONTAINER_OF(item, struct unit, link);

		LIST_FOR_SAFE(child, &unit->generations) {
			struct generation *generation =
				CONTAINER_OF(child, struct generation, link);

			if (generation->state != GEN_LEFT || has_workers(generation))
				continue;
			list_remove(&generation->link);
			free(generation);
		}
		if (!list_is_empty(&unit->generations))
			continue;
		if (unit->is_retired)
			unit_free(unit);
		else if (unit->must_start && !all.is_stopping)
			unit_renew(unit);
	}
}

void units_child_ended(pid_t pid, int status)
{
	struct generation *generation = find_generation(pid);

	if (generation != NULL) {
		template_ended(generation, status);
		if (generation->unit->must_start)
			unit_renew(generation->unit);
	}
	forget_gone();
	all.on_change();
}

/* ---- all of them ---- */

void units_close_sockets(void)
{
	LIST_FOR(item, units_all()) {
		struct unit *unit = CONTAINER_OF(item, struct unit, link);

		sockets_mark(&unit->wanted.sockets);
		sockets_sweep(&unit->wanted.sockets);
	}
}

void units_drain(bool with_log)
{
	all.is_stopping = true;
	LIST_FOR(item, units_all()) {
		struct unit *unit = CONTAINER_OF(item, struct unit, link);

		if (unit->wanted.is_log == with_log)
			LIST_FOR(child, &unit->generations)
				drain_generation(CONTAINER_OF(child, struct generation, link));
	}
}

void units_kill(void)
{
	all.is_stopping = true;
	LIST_FOR(item, units_all()) {
		struct unit *unit = CONTAINER_OF(item, struct unit, link);

		LIST_FOR(child, &unit->generations)
			(void)kill(-CONTAINER_OF(child, struct generation, link)->pid, SIGKILL);
	}
}

bool units_all_serve(void)
{
	LIST_FOR(item, units_all()) {
		struct unit *unit = CONTAINER_OF(item, struct unit, link);

		if (!unit->is_retired && !serves(unit))
			return false;
	}
	return true;
}

const struct unit *unit_failing(void)
{
	LIST_FOR(item, units_all()) {
		struct unit *unit = CONTAINER_OF(item, struct unit, link);

		if (unit->failures >= FAILURES_AT_START)
			return unit;
	}
	return NULL;
}

bool units_none_run(bool with_log)
{
	LIST_FOR(item, units_all()) {
		struct unit *unit = CONTAINER_OF(item, struct unit, link);

		if ((with_log || !unit->wanted.is_log) && !list_is_empty(&unit->generations))
			return false;
	}
	return true;
}
