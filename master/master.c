/* SPDX-License-Identifier: MIT */
/*
 * master: reads the configuration, binds the sockets, starts and supervises every service. The
 * only lasting root process beside local's monitor; it reads nothing that a peer or a user sent:
 * its input is the configuration, its children's events and a control socket that only root can
 * reach. Started by `postern start`, or in the foreground with -d.
 *
 *     master [-c config_directory] [-d] [-w]
 *
 * -w: wait in the foreground until every service serves, then leave the rest to the
 * background; the exit status says whether it worked, and errors go to standard error.
 * Manual: master(8).
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/event.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "master/config.h"
#include "master/notify.h"
#include "master/secret.h"
#include "master/sockets.h"
#include "master/unit.h"
#include "proc/service.h"

enum { LOCK_TRIES = 5, LOCK_TRY_MS = 10 };
enum { STOP_SECONDS = 6, START_PATIENCE_MS = 5000, LOG_PIPE_BYTES = 1024 * 1024, CONTROL_CLIENTS = 8 };

/* Somebody at the control socket: waits for the answer to a reload or stop. */
struct control {
	struct ipc_channel channel;
	struct event_fd watch;
	bool waits_for_ready, waits_for_end;
};

static struct {
	const char *directory;
	struct config *config;
	struct unit_pipes pipes;
	char secret[SECRET_SIZE];
	int ready_fd; /* -w: the foreground process waits at the other end; -1 */
	const char *start_error; /* what it is to hear there */
	int lock_fd;  /* pid file */
	struct event_fd signals, control_watch;
	struct socket_set control_sockets;
	struct control controls[CONTROL_CLIENTS];
	bool is_stopping, log_is_draining;
	struct event_timer stop_timer;
} state = { .ready_fd = -1 };

/* ---- from the configuration to units ---- */

static const char *const id_names[JAIL_UIDS] = { "queue", "net", "auth", "secret" };

static void set_number(struct conf_snapshot *snapshot, const char *name, long value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%ld", value);
	conf_snapshot_extra_set(snapshot, name, span_of(text));
}

static void set_text(struct conf_snapshot *snapshot, const char *name, const char *value)
{
	conf_snapshot_extra_set(snapshot, name, span_of(value));
}

/* "-v" raises the log level; what else is on the command line is the program's, as for pipe(8). */
static void set_arguments(struct conf_snapshot *snapshot, const struct master_service *entry)
{
	struct buf arguments = BUF_INIT(65536);
	int verbose = 0;

	for (int i = 0; i < entry->argc; i++) {
		if (strcmp(entry->argv[i], "-v") == 0)
			verbose++;
		else
			(void)buf_append(&arguments, entry->argv[i], strlen(entry->argv[i]) + 1);
	}
	set_number(snapshot, "verbose", verbose);
	conf_snapshot_extra_set(snapshot, "argv", buf_span(&arguments));
	buf_done(&arguments);
}

/* For qmgr: "smtp 100 local 50 ...", so that it opens no connection that nobody would serve. */
static void set_process_limits(struct conf_snapshot *snapshot)
{
	const struct config *config = state.config;
	struct buf limits = BUF_INIT(65536);

	for (size_t i = 0; i < config->services.count; i++) {
		const struct master_service *entry = config->services.services[i];

		if (!entry->is_replaced)
			(void)buf_printf(&limits, "%s %d ", entry->name,
					 config_maxproc(config, entry));
	}
	conf_snapshot_extra_set(snapshot, "process_limits", buf_span(&limits));
	buf_done(&limits);
}

static int make_snapshot(struct wanted *wanted, const char *listeners)
{
	const struct master_service *entry = wanted->entry;
	struct config *config = state.config;
	struct conf_snapshot *snapshot = config_snapshot(config, entry, wanted->program,
							 &config->errors);
	char key[16];
	int fd;

	if (snapshot == NULL)
		return -1;
	set_text(snapshot, "service", wanted->name);
	set_text(snapshot, "type", wanted->type);
	set_text(snapshot, "program", wanted->program);
	set_text(snapshot, "listeners", listeners);
	set_text(snapshot, "queue_directory", config->queue_directory);
	set_text(snapshot, "config_directory", config->directory);
	set_text(snapshot, "daemon_directory", config->daemon_directory);
	set_text(snapshot, "single_uid", config->is_single_uid ? "yes" : "no");
	set_text(snapshot, "chroot", config_is_chrooted(entry) ? "yes" : "no");
	set_number(snapshot, "maxproc", config_maxproc(config, entry));
	if (wanted->is_log)
		set_number(snapshot, "log_fd", 6);
	if (strcmp(wanted->program, "bounce") == 0)
		config_add_templates(config, entry, snapshot);
	if (strcmp(wanted->program, "connect") == 0)
		config_add_endpoints(config, snapshot);
	if (strcmp(wanted->program, "connect") == 0 || strcmp(wanted->program, "qmgr") == 0)
		set_text(snapshot, "secret", state.secret);
	if (strcmp(wanted->program, "qmgr") == 0) {
		set_process_limits(snapshot);
	}
	for (size_t i = 0; i < JAIL_UIDS; i++) {
		(void)snprintf(key, sizeof(key), "uid.%s", id_names[i]);
		set_number(snapshot, key, (long)config->ids[i].uid);
		(void)snprintf(key, sizeof(key), "gid.%s", id_names[i]);
		set_number(snapshot, key, (long)config->ids[i].gid);
	}
	set_number(snapshot, "gid.setgid", (long)config->setgid_gid);
	set_arguments(snapshot, entry);
	fd = conf_snapshot_write(snapshot);
	conf_snapshot_free(snapshot);
	return fd;
}

/* The group that a program has once it is jailed; its directory is for that group alone. */
static gid_t client_group(const struct config *config, const char *program)
{
	char *worker = mem_printf("%s_worker", program);
	const struct jail *jail = jail_find(worker);

	if (jail == NULL)
		jail = jail_find(program);
	free(worker);
	return config->ids[jail != NULL && jail->uid != JAIL_UID_ROOT ? jail->uid : JAIL_UID_QUEUE].gid;
}

/* The directory where a program finds the sockets of others, and nothing else. */
static bool make_own_root(const struct config *config, const char *program, struct buf *error)
{
	char *directory = mem_printf("%s/jail/%s", config->queue_directory, program);
	bool is_made = (mkdir(directory, 0750) == 0 || errno == EEXIST) &&
		       (config->is_single_uid ||
			(chmod(directory, 0750) == 0 &&
			 chown(directory, 0, client_group(config, program)) == 0));

	if (!is_made)
		(void)buf_printf(error, "%s: %s", directory, strerror(errno));
	free(directory);
	return is_made;
}

static bool want_client_socket(struct config *config, struct wanted *wanted, const char *client,
			       struct buf *error)
{
	char *path = mem_printf("%s/jail/%s/%s", config->queue_directory, client, wanted->name);
	bool is_made = make_own_root(config, client, error) &&
		       sockets_want_unix(&wanted->sockets, SOCKET_UNIX, path, 0666, (gid_t)-1,
					 client, error);

	free(path);
	return is_made;
}

static bool want_client_sockets(struct config *config, struct wanted *wanted, struct buf *error)
{
	static const struct {
		const char *client, *server;
		bool is_for_best_mx;
	} permits[] = {
#define PERMIT(from, to) { #from, #to, false },
#define PERMIT_BEST_MX(from, to) { #from, #to, true },
#include "ipc/permit.def"
#undef PERMIT
#undef PERMIT_BEST_MX
	};

	for (size_t i = 0; i < ARRAY_LEN(permits); i++)
		if (strcmp(permits[i].server, wanted->program) == 0 &&
		    (!permits[i].is_for_best_mx || config_is_best_mx(config, wanted->entry)) &&
		    !want_client_socket(config, wanted, permits[i].client, error))
			return false;
	return true;
}

/* The listeners of an inet service are its front's, if it has one. */
static bool want_inet_sockets(struct config *config, struct wanted *wanted,
			      const struct master_service *entry, struct buf *error)
{
	return sockets_want_inet(&wanted->sockets, entry->name,
				 config_value(config, entry, "inet_interfaces"),
				 config_value(config, entry, "inet_protocols"),
				 config_value(config, entry, "known_tcp_ports"), error);
}

static bool want_unix_sockets(struct config *config, struct wanted *wanted,
			      const struct master_service *entry, struct buf *error)
{
	bool is_public = entry->private_service == MASTER_NO;
	char *path = mem_printf("%s/%s/%s", config->queue_directory,
				is_public ? "public" : "private", entry->name);
	bool is_made;

	if (entry->type == MASTER_UNIX_DGRAM)
		is_made = sockets_want_unix(&wanted->sockets, SOCKET_UNIX_DGRAM, path, 0622,
					    config->setgid_gid, SERVICE_DGRAM, error);
	else if (strcmp(entry->command, "spawn") == 0)
		/* Its peers are not ours: they expect a stream, wherever the socket stands. */
		is_made = sockets_want_unix(&wanted->sockets, SOCKET_UNIX_STREAM, path, 0666,
					    (gid_t)-1, SERVICE_PUBLIC, error);
	else
		is_made = !is_public ||
			  sockets_want_unix(&wanted->sockets, SOCKET_UNIX, path, 0666,
					    config->setgid_gid, SERVICE_PUBLIC, error);
	free(path);
	return is_made && want_client_sockets(config, wanted, error);
}

static void replace(char **text, const char *value)
{
	free(*text);
	*text = mem_dup_str(value);
}

/* Every inet service of smtpd has a front, without a word in master.cf; see smtpd/front. */
static bool has_front(const struct master_service *entry)
{
	return entry->type == MASTER_INET && strcmp(entry->command, "smtpd") == 0;
}

/* The unit `type` of this line of master.cf, running `program` from `file`; its sockets are not
 * wanted yet. */
static struct unit *want_unit(struct config *config, struct master_service *entry, const char *type,
			      const char *program, const char *file)
{
	struct unit *unit = unit_find(entry->name, type);
	struct wanted *wanted;

	if (unit == NULL)
		unit = unit_new(entry->name, type);
	unit->is_retired = false;
	unit->is_wanted = true;
	wanted = &unit->wanted;
	replace(&wanted->program, program);
	free(wanted->path);
	wanted->path = mem_printf("%s/%s", config->daemon_directory, file);
	wanted->is_log = strcmp(program, "postlogd") == 0;
	wanted->make_snapshot = make_snapshot;
	wanted->entry = entry;
	sockets_mark(&wanted->sockets);
	return unit;
}

static bool want_front(struct config *config, struct master_service *entry, struct buf *error)
{
	struct wanted *wanted = &want_unit(config, entry, "front", "front", "front")->wanted;

	if (!make_own_root(config, wanted->program, error) ||
	    !want_inet_sockets(config, wanted, entry, error))
		return false;
	sockets_sweep(&wanted->sockets);
	return true;
}

static bool want_service(struct config *config, struct master_service *entry, struct buf *error)
{
	struct wanted *wanted;
	const char *file;
	bool is_alone, is_made;

	if (!config_program(entry->command, &file, &is_alone))
		return true; /* inside */
	if (has_front(entry) && !want_front(config, entry, error))
		return false;
	wanted = &want_unit(config, entry, entry->type_name, entry->command, file)->wanted;
	wanted->is_alone = is_alone || entry->maxproc == 1;
	wanted->wakeup_seconds = entry->wakeup_seconds;
	if (!make_own_root(config, wanted->program, error))
		return false;
	if (has_front(entry))
		is_made = want_client_sockets(config, wanted, error);
	else if (entry->type == MASTER_INET)
		is_made = want_inet_sockets(config, wanted, entry, error);
	else
		is_made = want_unix_sockets(config, wanted, entry, error);
	if (is_made)
		sockets_sweep(&wanted->sockets);
	return is_made;
}

static bool is_disabled(const struct config *config, const struct master_service *entry)
{
	struct span rest = span_of(config_value(config, NULL, "master_service_disable")), word;
	char *name = mem_printf("%s.%s", entry->name, entry->type_name);
	bool is_off = false;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0)
		is_off |= span_is(word, name) || span_is(word, entry->type_name);
	free(name);
	return is_off;
}

/* Brings the units in line with the configuration, the log service first, and renews them all. */
static bool apply_config(struct config *config, struct buf *error)
{
	LIST_FOR(item, units_all())
		CONTAINER_OF(item, struct unit, link)->is_wanted = false;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < config->services.count; i++) {
			struct master_service *entry = config->services.services[i];
			bool is_log = strcmp(entry->command, "postlogd") == 0;

			if (is_log == (round == 0) && !entry->is_replaced &&
			    !is_disabled(config, entry) && !want_service(config, entry, error))
				return false;
		}
	}
	LIST_FOR_SAFE(old, units_all())
		if (!CONTAINER_OF(old, struct unit, link)->is_wanted)
			unit_retire(CONTAINER_OF(old, struct unit, link));
	LIST_FOR_SAFE(each, units_all()) {
		struct unit *unit = CONTAINER_OF(each, struct unit, link);

		unit_forgive(unit);
		unit_renew(unit);
	}
	return true;
}

/* ---- the control socket ---- */

static void answer(struct control *control, unsigned code, const char *text)
{
	struct msg_status status = { .code = code, .text = span_first(span_of(text), 2000) };

	(void)!IPC_SEND(&control->channel, status, &status, -1, clock_in_ms(100));
	event_unwatch(&control->watch);
	ipc_close(&control->channel);
	*control = (struct control){ 0 };
	ipc_attach(&control->channel, -1);
}

/* Each line of `text` by itself: `say` is log_info(), log_warn() or log_error(). */
static void log_lines(struct span text, void (*say)(const char *format, ...))
{
	struct span line;

	while (span_line(&text, &line))
		say("%.*s", SPAN_ARG(line));
}

static void log_problems(const struct config *config)
{
	log_lines(buf_span(&config->remarks), log_info);
	log_lines(buf_span(&config->notes), log_warn);
	log_lines(buf_span(&config->errors), log_error);
}

/* 0 with nothing in `error` when the new configuration is on its way. */
static bool reload(struct buf *error)
{
	struct config *config = NEW(struct config), *old = state.config;

	if (!config_read(config, state.directory)) {
		(void)buf_add(error, buf_span(&config->errors));
		log_problems(config);
		log_error("reload: the new configuration is not used; the old one goes on");
		config_free(config);
		free(config);
		return false;
	}
	log_problems(config);
	state.config = config;
	log_info("reload -- version %s, configuration %s", conf->mail_version, state.directory);
	if (!apply_config(config, error)) {
		log_error("reload: %s", buf_str(error));
		return false;
	}
	config_free(old);
	free(old);
	return true;
}

static void begin_stop(bool at_once);

static void on_request(struct control *control, const struct msg_service_event *request)
{
	struct buf error = BUF_INIT(4000);

	switch ((enum service_event_kind)request->event) {
	case EVENT_STATUS:
		answer(control, 0, "");
		break;
	case EVENT_RELOAD:
		if (reload(&error))
			control->waits_for_ready = true;
		else
			answer(control, 1, buf_str(&error));
		break;
	case EVENT_STOP:
		control->waits_for_end = true;
		begin_stop(request->value != 0);
		break;
	case EVENT_READY:
	case EVENT_RENEW:
	case EVENT_DRAIN:
	case EVENT_WAKEUP:
	case EVENT_KICK:
		answer(control, 1, "master does not do that");
		break;
	}
	buf_done(&error);
}

static void on_control_client(struct event_fd *watch, unsigned events)
{
	struct control *control = CONTAINER_OF(watch, struct control, watch);
	struct msg_service_event request;
	enum ipc_status status =
		IPC_EXPECT(&control->channel, service_event, &request, clock_in_ms(0));

	(void)events;
	if (status == IPC_OK)
		on_request(control, &request);
	else if (status != IPC_TIMEOUT)
		answer(control, 1, "what was that?");
}

static void on_control(struct event_fd *watch, unsigned events)
{
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	for (size_t i = 0; fd >= 0 && i < CONTROL_CLIENTS; i++) {
		if (ipc_is_open(&state.controls[i].channel))
			continue;
		ipc_attach(&state.controls[i].channel, fd);
		event_watch(&state.controls[i].watch, fd, EPOLLIN, on_control_client);
		return;
	}
	if (fd >= 0)
		(void)close(fd);
}

static void open_control(void)
{
	struct buf error = BUF_INIT(1000);
	char *path = mem_printf("%s/private/master", state.config->queue_directory);

	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		ipc_attach(&state.controls[i].channel, -1);
	sockets_init(&state.control_sockets);
	if (!sockets_want_unix(&state.control_sockets, SOCKET_UNIX, path, 0600, (gid_t)-1, "", &error))
		fatal("%s", buf_str(&error));
	event_watch(&state.control_watch,
		    CONTAINER_OF(state.control_sockets.sockets.next, struct service_socket, link)->fd,
		    EPOLLIN, on_control);
	free(path);
	buf_done(&error);
}

/* ---- start and end ---- */

/* Tells the process that waits in the foreground: "" is success. */
static void report_start(const char *error)
{
	if (state.ready_fd < 0)
		return;
	(void)!write(state.ready_fd, error, strlen(error));
	(void)!write(state.ready_fd, "", 1);
	(void)close(state.ready_fd);
	state.ready_fd = -1;
}

/* Who hears that the system has stopped may bind its ports and start it again at once. */
static void let_go(void)
{
	units_close_sockets();
	/* Before the lock: the next master's socket has the same name. */
	event_unwatch(&state.control_watch);
	sockets_mark(&state.control_sockets);
	sockets_sweep(&state.control_sockets);
	if (state.lock_fd >= 0) {
		/* Closing alone leaves the lock to a child that is not yet at its exec. */
		(void)flock(state.lock_fd, LOCK_UN);
		(void)close(state.lock_fd);
	}
	state.lock_fd = -1;
}

static void finish(void)
{
	log_info("terminating");
	let_go();
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (state.controls[i].waits_for_end)
			answer(&state.controls[i], 0, "");
	report_start(state.start_error != NULL ? state.start_error
					       : "postern: error: stopped while starting\n");
	event_stop();
}

/* A service that cannot even start: who waits hears of it when nothing is left of the start. */
static void give_up_start(const struct unit *unit)
{
	if (state.start_error == NULL) {
		state.start_error = mem_printf(
			"postern: error: the service %s (%s) cannot start; the log says why\n",
			unit->wanted.name, unit->wanted.program);
		log_error("the service %s (%s) cannot start: giving up", unit->wanted.name,
			  unit->wanted.program);
	}
	begin_stop(true);
}

/* Who waits for a reload hears what does not come up; the rest runs, and it is tried again. */
static void refuse_reload(const struct unit *unit)
{
	char text[512];

	(void)snprintf(text, sizeof(text),
		       "the service %s (%s) cannot start with this configuration; the log says why",
		       unit->wanted.name, unit->wanted.program);
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (state.controls[i].waits_for_ready)
			answer(&state.controls[i], 1, text);
}

/* Some unit has got or lost a process. */
static void on_change(void)
{
	if (state.is_stopping) {
		if (!state.log_is_draining && units_none_run(false)) {
			state.log_is_draining = true;
			units_drain(true);
		}
		if (units_none_run(true))
			finish();
		return;
	}
	if (state.ready_fd >= 0 && unit_failing() != NULL) {
		give_up_start(unit_failing());
		return;
	}
	if (unit_failing() != NULL)
		refuse_reload(unit_failing());
	if (!units_all_serve())
		return;
	report_start("");
	notify_manager("READY=1");
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		if (state.controls[i].waits_for_ready)
			answer(&state.controls[i], 0, "");
}

static void on_stop_overdue(struct event_timer *timer)
{
	(void)timer;
	units_kill();
}

static void begin_stop(bool at_once)
{
	if (!state.is_stopping) {
		log_info("stopping");
		notify_manager("STOPPING=1");
		state.is_stopping = true;
		units_drain(false);
		event_at(&state.stop_timer, clock_in_ms(STOP_SECONDS * 1000), on_stop_overdue);
	}
	if (at_once)
		units_kill();
	on_change();
}

static void on_signal(struct event_fd *watch, unsigned events)
{
	struct signalfd_siginfo info;
	struct buf error = BUF_INIT(4000);
	pid_t pid;
	int status;

	(void)events;
	while (read(watch->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			(void)reload(&error);
		else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			begin_stop(false);
	}
	buf_done(&error);
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		units_child_ended(pid, status);
}

static void watch_signals(void)
{
	sigset_t mask;
	int fd;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&mask);
	(void)sigaddset(&mask, SIGHUP);
	(void)sigaddset(&mask, SIGTERM);
	(void)sigaddset(&mask, SIGINT);
	(void)sigaddset(&mask, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &mask, NULL);
	fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fatal("signalfd: %s", strerror(errno));
	event_watch(&state.signals, fd, EPOLLIN, on_signal);
}

static void make_pipes(void)
{
	int log_pipe[2];

	if (pipe2(log_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		fatal("pipe: %s", strerror(errno));
	(void)fcntl(log_pipe[1], F_SETPIPE_SZ, LOG_PIPE_BYTES);
	state.pipes = (struct unit_pipes){ log_pipe[0], log_pipe[1] };
}

/* One master for a queue: the lock on its pid file says so. False when there is one already. */
static bool lock_pid_file(const char *queue_directory)
{
	char *path = mem_printf("%s/pid/master.pid", queue_directory);
	char pid[16];

	state.lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (state.lock_fd < 0)
		fatal("open %s: %s", path, strerror(errno));
	free(path);
	/* "postern status" looks by taking the lock for a moment. */
	for (int i = 0; flock(state.lock_fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (i == LOCK_TRIES)
			return false;
		(void)poll(NULL, 0, LOCK_TRY_MS);
	}
	(void)snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(state.lock_fd, 0) < 0 || write(state.lock_fd, pid, strlen(pid)) < 0)
		fatal("write pid file: %s", strerror(errno));
	return true;
}

/* The process in the foreground: waits for the verdict of the one in the background. */
NORETURN static void wait_for_start(int fd)
{
	char text[8192];
	size_t used = 0;
	ssize_t size;

	while (used < sizeof(text) && (size = read(fd, text + used, sizeof(text) - used)) > 0)
		used += (size_t)size;
	if (used == 1 && text[0] == '\0')
		_exit(0);
	(void)fprintf(stderr, "%.*s", (int)(used > 0 ? used - 1 : 0), text);
	if (used == 0)
		(void)fprintf(stderr, "postern: master ended before it was ready\n");
	_exit(1);
}

static void go_background(void)
{
	int pipe_fds[2], null;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		fatal("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		fatal("fork: %s", strerror(errno));
	if (pid > 0) {
		(void)close(pipe_fds[1]);
		wait_for_start(pipe_fds[0]);
	}
	(void)close(pipe_fds[0]);
	state.ready_fd = pipe_fds[1];
	(void)setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(null, fd);
}

static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
}

static void start_services(void)
{
	struct buf error = BUF_INIT(4000);

	watch_signals();
	open_control();
	sockets_be_patient(clock_in_ms(START_PATIENCE_MS));
	log_problems(state.config);
	log_info("daemon started -- version %s, configuration %s", conf->mail_version,
		 state.directory);
	if (!apply_config(state.config, &error)) {
		log_error("%s", buf_str(&error));
		(void)buf_char(&error, '\n');
		(void)fprintf(stderr, "postern: error: %s", buf_str(&error));
		state.is_stopping = true;
		units_kill();
		let_go();
		report_start(mem_printf("postern: error: %s", buf_str(&error)));
		exit(1);
	}
	buf_done(&error);
}

int main(int argc, char **argv)
{
	bool in_background = false;
	int option;

	log_open("postfix/master", -1);
	while ((option = getopt(argc, argv, "c:dw")) >= 0) {
		if (option == 'c')
			state.directory = optarg;
		else if (option == 'w')
			in_background = true;
		else if (option != 'd')
			fatal("usage: master [-c config_directory] [-d] [-w]");
	}
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(1);
	(void)umask(022);
	raise_limits();
	conf_load_command(state.directory);
	state.directory = mem_dup_str(conf_directory(state.directory));
	state.config = NEW(struct config);
	if (!config_read(state.config, state.directory)) {
		(void)fprintf(stderr, "%s", buf_str(&state.config->errors));
		return 1;
	}
	if (in_background)
		go_background();
	if (!lock_pid_file(state.config->queue_directory)) {
		report_start("postern: error: the mail system is already running\n");
		return 1;
	}
	secret_load(state.config->queue_directory, state.secret);
	make_pipes();
	log_open(mem_printf("%s/master", *conf->syslog_name != '\0' ? conf->syslog_name : "postfix"),
		 state.pipes.log_write);
	event_open();
	units_setup(&state.pipes, on_change);
	start_services();
	on_change();
	event_run();
	return 0;
}
