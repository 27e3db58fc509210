/* SPDX-License-Identifier: MIT */
/*
 * The life of a daemon between master's exec and its end; see service.h. Runs as root until
 * jail_enter(), which is called in one place here, and never again.
 *
 * master leaves these descriptors: 3 the snapshot of the configuration, 4 a channel to master, 5 the
 * log pipe; the snapshot says which others there are.
 */

#include "proc/service.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/event.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/snapshot.h"
#include "ipc/channel.h"
#include "proc/fork.h"
#include "proc/workers.h"
#include "queue/dirs.h"

enum { SNAPSHOT_FD = 3, MASTER_FD = 4, LOG_FD = 5 };
enum { RENEW_DELAY_MS = 300, ACCEPT_PAUSE_MS = 1000, LETTERS_MAX = 64, FIRST_ANSWER_S = 30 };

struct service service = { .log_fd = -1 };

static struct {
	const struct service_program *program;
	const struct jail *jail;
	struct listeners listeners;
	struct event_fd *accept_watches; /* LOOP */
	struct event_timer accept_pause;
	struct event_timer watchdog;
	struct ipc_channel master;
	struct event_fd master_watch;
	struct jail_place place;
	char socket_prefix[256];
	bool is_draining;
	bool is_stopping; /* draining, and nobody follows */
	bool is_unused;   /* by anybody, and no wake-up is wanted before */
	int inotify;
	struct event_fd inotify_watch;
	struct event_timer renew_timer;
	char renew_reason[256];
	struct {
		int directory; /* inotify's number */
		char *name;    /* in that directory */
	} *files;
	size_t file_count;
} self = { .inotify = -1 };

/* What master added under `name`, "" when nothing; for good. */
static const char *extra(const char *name)
{
	struct span value;

	return conf_snapshot_extra_get(name, &value) ? mem_dup(value) : "";
}

static int extra_number(const char *name, int fallback)
{
	uint64_t value;

	return span_u64(span_of(extra(name)), 0x7fffffff, &value) ? (int)value : fallback;
}

void service_open_queue(struct queue_dirs *dirs)
{
	if (!queue_dirs_open(dirs, service.is_chrooted ? "/" : service.queue_directory))
		fatal("open the queue directories in %s: %s", service.queue_directory,
		      strerror(errno));
}

/* "listeners" is "6 smtpd 7 @public ..." */
static void load_listeners(void)
{
	struct span rest = span_of(extra("listeners")), number, client;
	uint64_t fd;

	while ((number = span_word(&rest, " ")).n > 0) {
		client = span_word(&rest, " ");
		if (!span_u64(number, 0xffff, &fd) || client.n == 0)
			fatal("master's snapshot: bad listeners: %s", extra("listeners"));
		self.listeners.list = mem_resize(self.listeners.list,
						 (self.listeners.count + 1) * sizeof(struct listener));
		self.listeners.list[self.listeners.count++] =
			(struct listener){ (int)fd, mem_dup(client) };
		(void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	}
}

static void load_ids(void)
{
	static const char *const names[JAIL_UIDS] = { "queue", "net", "auth", "secret" };
	char key[16];

	for (size_t i = 0; i < JAIL_UIDS; i++) {
		(void)snprintf(key, sizeof(key), "uid.%s", names[i]);
		self.place.ids[i].uid = (uid_t)extra_number(key, 65534);
		(void)snprintf(key, sizeof(key), "gid.%s", names[i]);
		self.place.ids[i].gid = (gid_t)extra_number(key, 65534);
	}
}

/* Where this program's client sockets will be seen from inside. */
static void set_socket_prefix(bool is_in_own_root)
{
	if (is_in_own_root)
		(void)snprintf(self.socket_prefix, sizeof(self.socket_prefix), "/");
	else
		(void)snprintf(self.socket_prefix, sizeof(self.socket_prefix), "%s/jail/%s/",
			       service.is_chrooted ? "" : service.queue_directory, service.program);
}

static void load_place(const struct jail *jail)
{
	bool is_own = jail->root == JAIL_ROOT_OWN;

	service.name = extra("service");
	service.type = extra("type");
	service.program = extra("program");
	service.queue_directory = extra("queue_directory");
	service.maxproc = extra_number("maxproc", 0);
	service.is_single_uid = strcmp(extra("single_uid"), "yes") == 0;
	service.is_chrooted = strcmp(extra("chroot"), "yes") == 0 && !service.is_single_uid &&
			      jail->root != JAIL_ROOT_NONE;
	service.log_fd = extra_number("log_fd", -1);
	self.is_unused = strcmp(extra("wakeup_on_use"), "yes") == 0;
	self.place.is_single_uid = service.is_single_uid;
	self.place.may_chroot = service.is_chrooted;
	self.place.queue_root = service.queue_directory;
	self.place.own_root = mem_printf("%s/jail/%s", service.queue_directory, service.program);
	load_ids();

	set_socket_prefix(service.is_chrooted && is_own);
}

int service_own_directory(const char *name)
{
	char *path = mem_printf("%s/%s", self.place.own_root, name);
	uid_t uid = self.place.ids[self.jail->uid].uid;
	gid_t gid = self.place.ids[self.jail->uid].gid;
	bool is_made = mkdir(path, 0700) == 0 || errno == EEXIST;
	int fd = is_made ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;

	if (fd < 0 || (!service.is_single_uid && (fchown(fd, uid, gid) < 0 || fchmod(fd, 0700) < 0)))
		fatal("%s: %s", path, strerror(errno));
	free(path);
	return fd;
}

void service_confine(const struct jail *jail)
{
	self.place.may_chroot = !service.is_single_uid;
	jail_enter(jail, &self.place);
	set_socket_prefix(self.place.may_chroot && jail->root == JAIL_ROOT_OWN);
}

int service_connect(const char *name, struct clock_mono deadline)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s%s", self.socket_prefix, name);
	return ipc_connect_path(path, deadline);
}

struct clock_mono service_first_answer(void)
{
	int limit_s = conf->ipc_timeout;

	return clock_in_ms((limit_s < FIRST_ANSWER_S ? limit_s : FIRST_ANSWER_S) * 1000);
}

/* ---- talking to master ---- */

enum { EVENT_TEXT_MAX = 512 }; /* of messages.def */

static void tell_master(enum service_event_kind event, const char *text)
{
	struct msg_service_event message = { .event = event, .value = (uint32_t)getpid(),
					     .text = span_first(span_of(text), EVENT_TEXT_MAX) };

	(void)!IPC_SEND(&self.master, service_event, &message, -1, clock_in_ms(1000));
}

static void drain(bool has_successor)
{
	if (self.is_draining && !self.is_stopping)
		return;
	self.is_draining = true;
	if (self.program->kind == SERVICE_WORKERS) {
		workers_drain();
		return;
	}
	for (size_t i = 0; i < self.listeners.count; i++) {
		event_unwatch(&self.accept_watches[i]);
		(void)close(self.listeners.list[i].fd);
	}
	self.listeners.count = 0;
	if (self.program->on_drain != NULL)
		self.program->on_drain(has_successor);
	else
		event_stop();
}

/*
 * For all who have the listeners, workers in the middle of a session included: the next master
 * binds the addresses anew, and nobody shall wait in a queue that is not looked at any more.
 */
static void stop_listening(void)
{
	for (size_t i = 0; i < self.listeners.count; i++)
		(void)shutdown(self.listeners.list[i].fd, SHUT_RDWR);
}

static void on_master(struct event_fd *watch, unsigned events)
{
	struct msg_service_event message;
	enum ipc_status status =
		IPC_EXPECT(&self.master, service_event, &message, clock_in_ms(0));

	(void)events;
	if (status == IPC_TIMEOUT)
		return;
	if (status != IPC_OK) {
		/* Without master nobody would start us again: end in order, as if told to. */
		event_unwatch(watch);
		self.is_stopping = true;
		stop_listening();
		drain(false);
	} else if (message.event == EVENT_DRAIN) {
		self.is_stopping = message.value != 0;
		drain(message.value == 0);
	} else if (message.event == EVENT_WAKEUP && self.program->on_wakeup != NULL &&
		   !self.is_unused) {
		self.program->on_wakeup();
	}
}

static void on_crash(const char *reason)
{
	tell_master(EVENT_RENEW, reason);
}

/* ---- files that were loaded ---- */

static void on_renew(struct event_timer *timer)
{
	(void)timer;
	tell_master(EVENT_RENEW, self.renew_reason);
}

static void on_inotify(struct event_fd *watch, unsigned events)
{
	_Alignas(struct inotify_event) char raw[4096];
	ssize_t size;

	(void)events;
	while ((size = read(watch->fd, raw, sizeof(raw))) > 0) {
		for (ssize_t at = 0; at < size;) {
			struct inotify_event *event = (struct inotify_event *)(void *)(raw + at);

			at += (ssize_t)(sizeof(*event) + event->len);
			for (size_t i = 0; i < self.file_count; i++) {
				if (self.files[i].directory != event->wd || event->len == 0 ||
				    strcmp(self.files[i].name, event->name) != 0)
					continue;
				(void)snprintf(self.renew_reason, sizeof(self.renew_reason),
					       "%s has changed", event->name);
				/* Writers often touch a file more than once. */
				event_at(&self.renew_timer, clock_in_ms(RENEW_DELAY_MS), on_renew);
			}
		}
	}
}

static void watch_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash != NULL && slash != path
				  ? mem_dup((struct span){ path, (size_t)(slash - path) })
				  : mem_dup_str(slash != NULL ? "/" : ".");

	if (self.inotify < 0)
		self.inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	int number = inotify_add_watch(self.inotify, directory,
				       IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_CREATE);

	free(directory);
	if (number < 0)
		return; /* the directory is not there: master looks again at reload */
	self.files = mem_resize(self.files, (self.file_count + 1) * sizeof(*self.files));
	self.files[self.file_count].directory = number;
	self.files[self.file_count++].name = mem_dup_str(slash != NULL ? slash + 1 : path);
}

void service_watch_file(const char *path)
{
	char *target = realpath(path, NULL);

	watch_name(path);
	if (target != NULL && strcmp(target, path) != 0)
		watch_name(target);
	free(target);
}

/* ---- the loop of both kinds ---- */

static void on_accept(struct event_fd *watch, unsigned events);

static void watch_listeners(struct event_timer *timer)
{
	(void)timer;
	for (size_t i = 0; i < self.listeners.count; i++)
		event_watch(&self.accept_watches[i], self.listeners.list[i].fd, EPOLLIN, on_accept);
}

/* Out of descriptors or memory: connections wait until some have gone. */
static void pause_accept(int error)
{
	log_warn("accept: %s: trying again in %d s", strerror(error), ACCEPT_PAUSE_MS / 1000);
	for (size_t i = 0; i < self.listeners.count; i++)
		event_unwatch(&self.accept_watches[i]);
	event_at(&self.accept_pause, clock_in_ms(ACCEPT_PAUSE_MS), watch_listeners);
}

/* What is written at once is read at once; who writes more has it taken as several requests. */
static void take_letters(int fifo)
{
	char letters[LETTERS_MAX];
	ssize_t size = read(fifo, letters, sizeof(letters));

	if (size > 0)
		self.program->on_letters((struct span){ letters, (size_t)size });
}

static void on_accept(struct event_fd *watch, unsigned events)
{
	size_t index = (size_t)(watch - self.accept_watches);
	struct listener *from = &self.listeners.list[index];
	int fd;

	(void)events;
	self.is_unused = false;
	if (strcmp(from->client, SERVICE_DGRAM) == 0) {
		self.program->on_datagrams(from->fd);
		return;
	}
	if (strcmp(from->client, SERVICE_FIFO) == 0) {
		take_letters(from->fd);
		return;
	}
	fd = accept4(from->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		self.program->on_connection(fd, from->client);
	else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		pause_accept(errno);
}

/*
 * The watchdog is SIGALRM, whose default action ends the process; master starts another. As long as
 * the loop goes round it is put off, twice in its time.
 */
static void on_watchdog(struct event_timer *timer)
{
	const struct service_program *program = self.program;
	int limit_s = program->watchdog_s != NULL ? program->watchdog_s() : conf->daemon_timeout;

	(void)alarm((unsigned)limit_s);
	event_at(timer, clock_in_ms((int64_t)limit_s * 500), on_watchdog);
}

/* Until it serves: who waits for the start is told why there is none. */
static void on_start_line(enum log_severity severity, const char *tag, const char *text)
{
	(void)tag;
	if (severity == LOG_SEV_FATAL)
		tell_master(EVENT_FAILED, text);
}

static void start_loop(const struct service_program *program)
{
	self.accept_watches = mem_array(self.listeners.count, sizeof(struct event_fd));
	watch_listeners(NULL);
	if (program->start != NULL)
		program->start();
}

static void open_log(const struct service_program *program)
{
	char tag[96];
	const char *name = strcmp(conf->syslog_name, "") != 0 ? conf->syslog_name : "postfix";

	(void)snprintf(tag, sizeof(tag), "%s/%s", name,
		       *service.program != '\0' ? service.program : program->name);
	log_open(tag, LOG_FD);
	log_verbose(extra_number("verbose", 0));
}

int service_main(int argc, char **argv, const struct service_program *program)
{
	const char *problem;
	const char *own_name = argc > 0 ? strrchr(argv[0], '/') : NULL;
	bool is_lmtp = argc > 0 && strcmp(own_name != NULL ? own_name + 1 : argv[0], "lmtp") == 0;

	if (fcntl(SNAPSHOT_FD, F_GETFD) < 0 || fcntl(MASTER_FD, F_GETFD) < 0 ||
	    fcntl(LOG_FD, F_GETFD) < 0)
		fatal("%s is started by master, not by hand: see \"postern start\"", program->name);
	log_open(program->name, LOG_FD);
	for (int fd = SNAPSHOT_FD; fd <= LOG_FD; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGALRM, SIG_DFL); /* the watchdog */
	problem = conf_snapshot_load(SNAPSHOT_FD, is_lmtp);
	if (problem != NULL)
		fatal("%s: the configuration that master gave: %s", program->name, problem);
	self.program = program;
	self.jail = jail_find(program->name);
	if (self.jail == NULL)
		panic("%s has no row in proc/jails.def", program->name);
	load_place(self.jail);
	load_listeners();
	open_log(program);

	ipc_attach(&self.master, MASTER_FD);
	log_copy_to(on_start_line);
	fork_patience(conf->fork_attempts, (int64_t)conf->fork_delay * 1000);
	if (program->prepare != NULL)
		program->prepare();
	jail_enter(self.jail, &self.place);

	event_open();
	event_watch(&self.master_watch, MASTER_FD, EPOLLIN, on_master);
	if (self.inotify >= 0)
		event_watch(&self.inotify_watch, self.inotify, EPOLLIN, on_inotify);
	if (program->kind == SERVICE_WORKERS) {
		if (program->start != NULL)
			program->start();
		log_copy_to(NULL);
		workers_on_crash(on_crash);
		mem_fill_holes();
		workers_start(program, self.jail, self.listeners);
	} else {
		start_loop(program);
		log_copy_to(NULL);
	}
	on_watchdog(&self.watchdog);
	tell_master(EVENT_READY, "");
	event_run();
	(void)alarm(0);
	return 0;
}
