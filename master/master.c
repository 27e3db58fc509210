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
#include "master/apply.h"
#include "master/background.h"
#include "master/config.h"
#include "master/control.h"
#include "master/environment.h"
#include "master/notify.h"
#include "master/sockets.h"
#include "master/unit.h"

enum { LOCK_TRIES = 5, LOCK_TRY_MS = 10 };
enum { STOP_SECONDS = 6, START_PATIENCE_MS = 5000, LOG_PIPE_BYTES = 1024 * 1024 };

static struct {
	const char *directory;
	struct config *config;
	const char *start_error; /* what who waits for the start is to hear */
	int lock_fd; /* pid file */
	struct event_fd signals;
	bool is_stopping, log_is_draining;
	struct event_timer stop_timer;
} state;

/* ---- the configuration ---- */

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
	if (!config_apply(config, error)) {
		log_error("reload: %s", buf_str(error));
		return false;
	}
	config_free(old);
	free(old);
	return true;
}

/* ---- start and end ---- */

static void begin_stop(bool at_once);

/* Who hears that the system has stopped may bind its ports and start it again at once. */
static void let_go(void)
{
	units_close_sockets();
	/* Before the lock: the next master's socket has the same name. */
	control_close();
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
	control_ended();
	background_report(state.start_error != NULL ? state.start_error : "stopped while starting");
	event_stop();
}

/* What who waits is told of it. */
static char *describe_failure(const struct unit *unit, const char *with_what)
{
	return mem_printf("the service %s (%s) cannot start%s%s%s", unit->wanted.name,
			  unit->wanted.program, with_what, *unit->why != '\0' ? ": " : "; ",
			  *unit->why != '\0' ? unit->why : "the log says why");
}

/* A service that cannot even start: who waits hears of it when nothing is left of the start. */
static void give_up_start(const struct unit *unit)
{
	if (state.start_error == NULL) {
		state.start_error = describe_failure(unit, "");
		log_error("the service %s (%s) cannot start: giving up", unit->wanted.name,
			  unit->wanted.program);
	}
	begin_stop(true);
}

/* Who waits for a reload hears what does not come up; the rest runs, and it is tried again. */
static void refuse_reload(const struct unit *unit)
{
	char *text = describe_failure(unit, " with this configuration");

	control_reloaded(text);
	free(text);
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
	if (background_is_waited_for() && unit_failing() != NULL) {
		give_up_start(unit_failing());
		return;
	}
	if (unit_failing() != NULL)
		refuse_reload(unit_failing());
	if (!units_all_serve())
		return;
	background_report("");
	notify_manager("READY=1");
	control_reloaded("");
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

static struct unit_pipes make_pipes(void)
{
	int log_pipe[2];

	if (pipe2(log_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		fatal("pipe: %s", strerror(errno));
	(void)fcntl(log_pipe[1], F_SETPIPE_SZ, LOG_PIPE_BYTES);
	return (struct unit_pipes){ log_pipe[0], log_pipe[1] };
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
	static const struct control_handlers handlers = { .reload = reload, .stop = begin_stop };
	struct buf error = BUF_INIT(4000);

	watch_signals();
	control_open(state.config->queue_directory, &handlers);
	sockets_be_patient(clock_in_ms(START_PATIENCE_MS));
	log_problems(state.config);
	log_info("daemon started -- version %s, configuration %s", conf->mail_version,
		 state.directory);
	if (!config_apply(state.config, &error)) {
		log_error("%s", buf_str(&error));
		state.is_stopping = true;
		units_kill();
		let_go();
		background_fail(buf_str(&error));
		exit(1);
	}
	buf_done(&error);
}

/* The options; whether to go to the background. */
static bool parse_options(int argc, char **argv)
{
	bool in_background = false;
	int option;

	while ((option = getopt(argc, argv, "c:dw")) >= 0) {
		if (option == 'c')
			state.directory = optarg;
		else if (option == 'w')
			in_background = true;
		else if (option != 'd')
			fatal("usage: master [-c config_directory] [-d] [-w]");
	}
	return in_background;
}

/* Whoever started us may have left 0, 1 or 2 closed: then what is opened next would get them. */
static void fill_standard_fds(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(1);
}

int main(int argc, char **argv)
{
	struct unit_pipes pipes;
	bool in_background;

	log_open("postfix/master", -1);
	in_background = parse_options(argc, argv);
	fill_standard_fds();
	(void)umask(022);
	raise_limits();
	conf_load_command(state.directory);
	state.directory = mem_dup_str(conf_directory(state.directory));
	state.config = NEW(struct config);
	if (!config_read(state.config, state.directory)) {
		background_fail(buf_str(&state.config->errors));
		return 1;
	}
	environment_import(conf->import_environment);
	if (in_background)
		background_enter();
	if (!lock_pid_file(state.config->queue_directory)) {
		background_fail("the mail system is already running");
		return 1;
	}
	pipes = make_pipes();
	log_open(mem_printf("%s/master", *conf->syslog_name != '\0' ? conf->syslog_name : "postfix"),
		 pipes.log_write);
	event_open();
	units_setup(&pipes, on_change);
	start_services();
	on_change();
	event_run();
	return 0;
}
