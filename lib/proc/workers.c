/* SPDX-License-Identifier: MIT */
/*
 * Templates and workers. The template forks a worker when a connection waits and no worker is
 * idle; the worker accepts it itself, so that neither waits for the other. What both sides must
 * know stands in a scoreboard in shared memory. Runs jailed, as the service's uid.
 */

#include "proc/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/event.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"

enum {
	UNLIMITED_WORKERS = 5000,
	CRASH_PAUSE_MS = 1000,
	FORK_PAUSE_MAX_S = 3600,
	WATCHDOG_STEPS = 16, /* in daemon_timeout */
};

struct slot {
	_Atomic pid_t pid; /* 0: free; -1: being forked */
	_Atomic bool is_busy;
};

struct scoreboard {
	_Atomic int idle;  /* workers that wait for a connection, those just forked included */
	_Atomic int total;
	_Atomic bool is_draining;
	int limit;
	struct slot slots[];
};

struct scoreboard *scoreboard;

static struct {
	const struct service_program *program;
	const struct jail *jail;
	struct listeners listeners;
	struct event_fd *listener_watches;
	struct event_fd nobody_idle; /* an eventfd: a worker took the last connection it could */
	struct event_fd children;
	struct event_timer pause;
	int drain_read, drain_write; /* its end of file tells the workers to finish */
	int crowd;                   /* an eventfd: for each count of it one silent client goes */
	bool has_asked;              /* for room, since a worker took a client last */
	bool is_draining;
	workers_crashed_fn *on_crash;
} template;

static struct {
	struct slot *slot;
	bool must_end;
	struct clock_mono rearm; /* the watchdog, when it is put off again; long ago: it is not set */
	volatile sig_atomic_t is_idle, has_limit;
} worker;

static void watch_listeners(void);
static void on_pause_over(struct event_timer *timer);

void workers_on_crash(workers_crashed_fn *on_crash)
{
	template.on_crash = on_crash;
}

bool service_is_draining(void)
{
	return scoreboard != NULL && atomic_load(&scoreboard->is_draining);
}

/*
 * The watchdog. Every command of a client puts it off; a system call for it is made now and then,
 * so it may find a worker that waits for work, which is none of its business.
 */
static void on_watchdog(int number)
{
	if (worker.has_limit)
		_exit(0);
	if (!worker.is_idle) {
		(void)signal(number, SIG_DFL);
		(void)raise(number);
	}
}

void service_busy(void)
{
	int64_t timeout_ms = (int64_t)conf->daemon_timeout * 1000;

	worker.is_idle = false;
	if (!clock_is_past(worker.rearm))
		return;
	(void)alarm((unsigned)conf->daemon_timeout);
	worker.rearm = clock_in_ms(timeout_ms / WATCHDOG_STEPS);
}

void service_idle(void)
{
	worker.is_idle = true;
}

void service_limit(int limit_s)
{
	worker.has_limit = limit_s > 0;
	(void)alarm((unsigned)limit_s);
	worker.rearm = (struct clock_mono){ 0 };
	if (limit_s == 0)
		service_busy();
}

/* Whether the first has input, or an end. */
static bool wait_for(struct pollfd *p, nfds_t count, struct clock_mono deadline)
{
	int ready;

	service_idle();
	do {
		ready = poll(p, count, clock_poll_ms(deadline));
	} while (ready < 0 && errno == EINTR);
	service_busy();
	return ready > 0 && p[0].revents != 0;
}

bool service_wait(int fd, struct clock_mono deadline)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
			       { .fd = template.drain_read, .events = POLLIN } };

	return wait_for(p, ARRAY_LEN(p), deadline);
}

bool service_wait_turn(int fd)
{
	struct pollfd p[3] = { { .fd = fd, .events = POLLIN },
			       { .fd = template.drain_read, .events = POLLIN },
			       { .fd = template.crowd, .events = POLLIN } };
	uint64_t one;

	while (!wait_for(p, ARRAY_LEN(p), CLOCK_NEVER)) {
		/* All who wait so are woken, and one is the first. */
		if (p[2].revents == 0 || read(template.crowd, &one, sizeof(one)) > 0)
			return false;
	}
	return true;
}

bool service_is_stressed(void)
{
	int busy = atomic_load(&scoreboard->total) - atomic_load(&scoreboard->idle);

	return service.maxproc > 0 && busy * 5 > scoreboard->limit * 4;
}

void service_end_worker(void)
{
	worker.must_end = true;
}

bool service_worker_must_end(void)
{
	return worker.must_end;
}

/* ---- the worker ---- */

/* Whether the template drains, or has gone: then nobody counts this worker any more. */
static bool has_to_finish(void)
{
	struct pollfd drain = { .fd = template.drain_read, .events = POLLIN };

	return service_is_draining() || poll(&drain, 1, 0) != 0;
}

/* The next connection, or -1 when it is time to end. */
static int next_connection(int epoll, struct listeners listeners, const char **ret_client)
{
	struct clock_mono deadline = clock_in_ms((int64_t)conf->max_idle * 1000);

	for (;;) {
		struct epoll_event event;
		int ready = epoll_wait(epoll, &event, 1, clock_poll_ms(deadline));

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0 || event.data.u32 >= listeners.count || has_to_finish())
			return -1;

		struct listener *from = &listeners.list[event.data.u32];
		int fd = accept4(from->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			*ret_client = from->client;
			return fd;
		}
		/* With an exit status, so that the template pauses before the next one tries. */
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			fatal("accept: %s", strerror(errno));
	}
}

static int worker_epoll(struct listeners listeners)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = (uint32_t)listeners.count };

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, template.drain_read, &event) < 0)
		fatal("epoll: %s", strerror(errno));
	for (size_t i = 0; i < listeners.count; i++) {
		event.events = EPOLLIN | EPOLLEXCLUSIVE;
		event.data.u32 = (uint32_t)i;
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, listeners.list[i].fd, &event) < 0)
			fatal("epoll: %s", strerror(errno));
	}
	return epoll;
}

static void take_connection(int fd, const char *client)
{
	uint64_t one = 1;

	atomic_store(&worker.slot->is_busy, true);
	/* A template that does not hear of it leaves the next client waiting; that we ended it sees. */
	if (atomic_fetch_sub(&scoreboard->idle, 1) == 1 &&
	    write(template.nobody_idle.fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		fatal("wake the template: %s", strerror(errno));
	service_busy();
	template.program->serve(fd, client);
	service_idle();
	atomic_store(&worker.slot->is_busy, false);
	atomic_fetch_add(&scoreboard->idle, 1);
}

NORETURN static void worker_main(struct slot *slot)
{
	sigset_t all;
	int uses = 0, fd, epoll;
	const char *client;

	worker.slot = slot;
	(void)sigemptyset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_watchdog }, NULL);
	(void)close(template.drain_write);
	epoll = worker_epoll(template.listeners);
	jail_worker(template.jail);
	if (template.program->worker_start != NULL)
		template.program->worker_start();
	while (!worker.must_end && uses++ < conf->max_use &&
	       (fd = next_connection(epoll, template.listeners, &client)) >= 0)
		take_connection(fd, client);
	_exit(0);
}

/* ---- the template ---- */

static struct slot *free_slot(void)
{
	for (int i = 0; i < scoreboard->limit; i++)
		if (atomic_load(&scoreboard->slots[i].pid) == 0)
			return &scoreboard->slots[i];
	return NULL;
}

static void fork_worker(void)
{
	struct slot *slot = free_slot();
	pid_t pid;

	if (slot == NULL)
		return;
	atomic_store(&slot->is_busy, false);
	atomic_store(&slot->pid, -1);
	atomic_fetch_add(&scoreboard->idle, 1);
	atomic_fetch_add(&scoreboard->total, 1);
	pid = fork();
	if (pid == 0)
		worker_main(slot);
	if (pid < 0) {
		int pause_s = conf->fork_delay < FORK_PAUSE_MAX_S ? conf->fork_delay : FORK_PAUSE_MAX_S;

		log_warn("fork: %s: trying again in %d s", strerror(errno), pause_s);
		event_at(&template.pause, clock_in_ms((int64_t)pause_s * 1000), on_pause_over);
		atomic_store(&slot->pid, 0);
		atomic_fetch_sub(&scoreboard->idle, 1);
		atomic_fetch_sub(&scoreboard->total, 1);
		return;
	}
	atomic_store(&slot->pid, pid);
}

static bool may_fork(void)
{
	return !template.is_draining && !event_is_set(&template.pause) &&
	       atomic_load(&scoreboard->idle) <= 0 &&
	       atomic_load(&scoreboard->total) < scoreboard->limit;
}

/* Whether a client that waits needs the place of one that has nothing to say. */
static bool may_ask_for_room(void)
{
	return template.program->clients_stay && !template.is_draining && !template.has_asked &&
	       atomic_load(&scoreboard->idle) <= 0 &&
	       atomic_load(&scoreboard->total) >= scoreboard->limit;
}

static void ask_for_room(void)
{
	uint64_t one = 1;

	template.has_asked = write(template.crowd, &one, sizeof(one)) > 0;
}

static void on_listener(struct event_fd *watch, unsigned events)
{
	(void)watch;
	(void)events;
	if (may_fork())
		fork_worker();
	else if (may_ask_for_room())
		ask_for_room();
	watch_listeners();
}

/* Looks at the listeners only while a connection there would need a new worker, or another's place. */
static void watch_listeners(void)
{
	bool must_watch = may_fork() || may_ask_for_room();

	for (size_t i = 0; i < template.listeners.count; i++) {
		if (must_watch)
			event_watch(&template.listener_watches[i], template.listeners.list[i].fd, EPOLLIN,
				    on_listener);
		else
			event_unwatch(&template.listener_watches[i]);
	}
}

static void on_nobody_idle(struct event_fd *watch, unsigned events)
{
	uint64_t count;

	(void)events;
	(void)!read(watch->fd, &count, sizeof(count));
	template.has_asked = false;
	watch_listeners();
}

static void on_pause_over(struct event_timer *timer)
{
	(void)timer;
	watch_listeners();
}

static void stop_when_empty(void)
{
	if (template.is_draining && atomic_load(&scoreboard->total) == 0)
		event_stop();
}

/* A worker that died can have been anywhere; the slots of the others say who is idle. */
static void recount_idle(void)
{
	int idle = 0;

	for (int i = 0; i < scoreboard->limit; i++)
		if (atomic_load(&scoreboard->slots[i].pid) != 0 &&
		    !atomic_load(&scoreboard->slots[i].is_busy))
			idle++;
	atomic_store(&scoreboard->idle, idle);
}

static void worker_ended(pid_t pid, int status)
{
	for (int i = 0; i < scoreboard->limit; i++)
		if (atomic_load(&scoreboard->slots[i].pid) == pid)
			atomic_store(&scoreboard->slots[i].pid, 0);
	atomic_fetch_sub(&scoreboard->total, 1);
	recount_idle();
	if (WIFSIGNALED(status)) {
		char reason[64];

		(void)snprintf(reason, sizeof(reason), "worker %d: signal %d", (int)pid,
			       WTERMSIG(status));
		if (WTERMSIG(status) == SIGALRM)
			log_warn("process %s pid %d: watchdog timeout", template.program->name,
				 (int)pid);
		else if (!template.is_draining)
			log_warn("process %s pid %d killed by signal %d", template.program->name,
				 (int)pid, WTERMSIG(status));
		if (template.on_crash != NULL && !template.is_draining)
			template.on_crash(reason);
	} else if (WEXITSTATUS(status) != 0) {
		/* fatal(): it has logged why. Not too fast again. */
		event_at(&template.pause, clock_in_ms(CRASH_PAUSE_MS), on_pause_over);
	}
}

static void on_child(struct event_fd *watch, unsigned events)
{
	struct signalfd_siginfo info;
	pid_t pid;
	int status;

	(void)events;
	while (read(watch->fd, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		worker_ended(pid, status);
	stop_when_empty();
	if (!template.is_draining)
		watch_listeners();
}

static void make_scoreboard(void)
{
	int limit = service.maxproc > 0 ? service.maxproc : UNLIMITED_WORKERS;
	size_t size = sizeof(struct scoreboard) + (size_t)limit * sizeof(struct slot);

	scoreboard = mem_shared(size);
	scoreboard->limit = limit;
}

void workers_start(const struct service_program *program, const struct jail *jail,
		   struct listeners listeners)
{
	int pipe_fds[2];
	sigset_t mask;
	int fd;

	template.program = program;
	template.jail = jail;
	template.listeners = listeners;
	template.listener_watches = mem_array(listeners.count, sizeof(struct event_fd));
	make_scoreboard();
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		fatal("pipe: %s", strerror(errno));
	template.drain_read = pipe_fds[0];
	template.drain_write = pipe_fds[1];

	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		fatal("eventfd: %s", strerror(errno));
	event_watch(&template.nobody_idle, fd, EPOLLIN, on_nobody_idle);
	template.crowd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	if (template.crowd < 0)
		fatal("eventfd: %s", strerror(errno));

	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL);
	fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fatal("signalfd: %s", strerror(errno));
	event_watch(&template.children, fd, EPOLLIN, on_child);
	watch_listeners();
}

void workers_drain(void)
{
	if (template.is_draining)
		return;
	template.is_draining = true;
	atomic_store(&scoreboard->is_draining, true);
	watch_listeners();
	for (size_t i = 0; i < template.listeners.count; i++)
		(void)close(template.listeners.list[i].fd);
	template.listeners.count = 0;
	(void)close(template.drain_write);
	stop_when_empty();
}
