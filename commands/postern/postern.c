/* SPDX-License-Identifier: MIT */
/*
 * postern: start, stop and check the mail system (postfix(1) is a link to it). Run by the
 * administrator; a private instance may be run by any user.
 *
 *     postern [-c config_dir] [-Dv] start | start-fg | stop | abort | reload | flush | check | status |
 *         logrotate | user ... (user.c) | ban ... (ban.c) | tls ... (tls.c) |
 *         tlsrpt ... (tlsrpt.c)
 *
 * Everything but `check` and `start` is a message to the running master, which answers when it is
 * done: reload when the new configuration serves, stop when the last process has gone.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "commands/postern/logrotate.h"
#include "commands/postern/postern.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "master/config.h"
#include "proc/command.h"
#include "proc/service.h"
#include "queue/dirs.h"
#include "queue/verbs.h"

enum { CONTROL_SECONDS = 60, WRAPPER_WORDS = 16, DEAD_MASTER_WAITS = 100, DEAD_MASTER_WAIT_MS = 50 };

static struct {
	const char *directory;
	struct config config;
} state;

NORETURN static void usage(void)
{
	(void)fprintf(stderr, "usage: postern [-c config_dir] [-v] start | start-fg | stop | abort | "
			      "reload | flush | check | status | logrotate | user ... | "
			      "ban ... | oauth ... | tls ... | tlsrpt ...\n");
	exit(1);
}

/* Directories that start and check make, so that nothing has to be made by hand. */
static bool make_directories(void)
{
	const struct config *config = &state.config;
	struct buf error = BUF_INIT(1000);
	const char *data = conf->data_directory;
	bool is_made;

	if (!queue_dirs_make(config->queue_directory, config->ids[JAIL_UID_QUEUE].uid,
			     config->setgid_gid, &error)) {
		log_error("%s", buf_str(&error));
		return false;
	}
	if (mkdir(data, 0755) < 0)
		is_made = errno == EEXIST;
	else
		is_made = config->is_single_uid || chown(data, config->ids[JAIL_UID_QUEUE].uid,
							 config->ids[JAIL_UID_QUEUE].gid) == 0;
	if (!is_made)
		log_error("data_directory %s: %s", data, strerror(errno));
	return is_made;
}

/* Says what is wrong with the configuration; makes what is missing. */
static bool check(void)
{
	bool is_good = config_read(&state.config, state.directory);
	struct span rest = buf_span(&state.config.notes), line;

	while (span_line(&rest, &line))
		log_warn("%.*s", SPAN_ARG(line));
	rest = buf_span(&state.config.errors);
	while (span_line(&rest, &line))
		log_error("%.*s", SPAN_ARG(line));
	return is_good && make_directories();
}

/* Whether somebody holds the lock of the pid file. */
static bool is_running(void)
{
	char *path = mem_printf("%s/pid/master.pid", conf->queue_directory);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is_locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;

	if (fd >= 0)
		(void)close(fd);
	free(path);
	return is_locked;
}

/* The process that wrote the pid file; 0 when there is none to be seen. */
static pid_t master_pid(void)
{
	char *path = mem_printf("%s/pid/master.pid", conf->queue_directory);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[16];
	ssize_t size = fd >= 0 ? read(fd, text, sizeof(text)) : -1;
	uint64_t pid;

	if (fd >= 0)
		(void)close(fd);
	free(path);
	return size > 0 && span_u64(span_trim((struct span){ text, (size_t)size }), INT32_MAX, &pid)
		       ? (pid_t)pid
		       : 0;
}

/*
 * A master that was killed may leave the lock for a moment to a child that it was about to
 * start: that is not a running system, and goes by itself.
 */
static void wait_for_dead_master(void)
{
	for (int i = 0; i < DEAD_MASTER_WAITS && is_running(); i++) {
		pid_t pid = master_pid();

		if (pid == 0 || kill(pid, 0) == 0 || errno != ESRCH)
			return;
		(void)poll(NULL, 0, DEAD_MASTER_WAIT_MS);
	}
}

static int start(bool in_foreground)
{
	char *path;

	wait_for_dead_master();
	if (is_running()) {
		log_error("the Postern mail system is already running");
		return 1;
	}
	if (!check())
		return 1;
	path = mem_printf("%s/master", state.config.daemon_directory);
	log_info("starting the Postern mail system");

	char *const argv[] = { (char[]){ "master" }, (char[]){ "-c" }, mem_dup_str(state.directory),
			       in_foreground ? (char[]){ "-d" } : (char[]){ "-w" }, NULL };

	(void)execv(path, argv);
	log_error("cannot run %s: %s", path, strerror(errno));
	return 1;
}

/* Asks master; its answer's code, or 1 when there is none. */
static int ask_master(enum service_event_kind kind, unsigned value)
{
	struct ipc_channel channel;
	struct msg_service_event event = { .event = kind, .value = value };
	struct msg_status answer;
	struct clock_mono deadline = clock_in_ms(CONTROL_SECONDS * 1000);
	char *path = mem_printf("%s/private/master", conf->queue_directory);
	int fd = ipc_connect_path(path, deadline), code = 1;

	free(path);
	if (fd < 0) {
		log_error("cannot talk to master: %s", strerror(errno));
		return 1;
	}
	ipc_attach(&channel, fd);
	if (IPC_SEND(&channel, service_event, &event, -1, deadline) != IPC_OK ||
	    IPC_EXPECT(&channel, status, &answer, deadline) != IPC_OK) {
		/* Gone at the end of its work is what stop asked for. */
		code = kind == EVENT_STOP && !is_running() ? 0 : 1;
		if (code != 0)
			log_error("master gave no answer");
	} else {
		struct span rest = answer.text, line;

		code = (int)answer.code;
		while (span_line(&rest, &line))
			log_error("%.*s", SPAN_ARG(line));
	}
	ipc_close(&channel);
	return code;
}

static bool must_run(void)
{
	if (!is_running())
		log_error("the Postern mail system is not running");
	return is_running();
}

static int do_start(void)
{
	return start(false);
}

static int do_start_fg(void)
{
	return start(true);
}

static int do_stop(void)
{
	if (!must_run())
		return 1;
	log_info("stopping the Postern mail system");
	return ask_master(EVENT_STOP, 0);
}

static int do_abort(void)
{
	if (!must_run())
		return 1;
	log_info("aborting the Postern mail system");
	return ask_master(EVENT_STOP, 1);
}

static int do_reload(void)
{
	if (!must_run())
		return 1;
	log_info("refreshing the Postern mail system");
	return ask_master(EVENT_RELOAD, 0);
}

static int do_check(void)
{
	return check() ? 0 : 1;
}

static int do_status(void)
{
	if (!is_running()) {
		log_info("the Postern mail system is not running");
		return 1;
	}
	log_info("the Postern mail system is running");
	return 0;
}

static int do_flush(void)
{
	struct msg_queue_command command = { .verb = QUEUE_FLUSH_ALL };
	struct msg_queue_answer answer;
	struct clock_mono deadline = clock_in_ms(CONTROL_SECONDS * 1000);
	struct ipc_channel channel;
	int fd, code;

	if (!must_run())
		return 1;
	fd = command_connect(conf->queue_service_name, deadline);
	ipc_attach(&channel, fd);
	code = fd >= 0 && IPC_SEND(&channel, queue_command, &command, -1, deadline) == IPC_OK &&
			       IPC_EXPECT(&channel, queue_answer, &answer, deadline) == IPC_OK
		       ? 0
		       : 1;
	if (code != 0)
		log_error("cannot talk to the queue manager: %s", strerror(errno));
	ipc_close(&channel);
	return code;
}

/* The log service opens its file anew with the next configuration; else who starts it next does. */
static bool reopen_log(void)
{
	return !is_running() || ask_master(EVENT_RELOAD, 0) == 0;
}

static int do_logrotate(void)
{
	return logrotate(reopen_log) ? 0 : 1;
}

static const struct {
	const char *name;
	int (*run)(void);
} verbs[] = {
	{ "start", do_start },   { "start-fg", do_start_fg }, { "stop", do_stop },
	{ "abort", do_abort },   { "reload", do_reload },     { "check", do_check },
	{ "status", do_status }, { "flush", do_flush },
	{ "logrotate", do_logrotate },
};

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} families[] = {
	{ "user", do_user },
	{ "ban", do_ban },
	{ "tlsrpt", do_tlsrpt },
	{ "oauth", do_oauth },
	{ "tls", do_tls },
};

/* What belongs to root is root's to control; a private instance belongs to who made its queue. */
static void check_caller(void)
{
	struct stat st;

	if (geteuid() == 0)
		return;
	if (stat(conf->queue_directory, &st) == 0 && st.st_uid == geteuid())
		return;
	fatal("to control the mail system you must be root, or own its queue_directory");
}

/*
 * With several instances on this machine, a command that names none is for all of them:
 * postfix-wrapper(5). The wrapper runs us again for each, with MAIL_CONFIG set.
 */
static void run_wrapper(char *command)
{
	char *argv[WRAPPER_WORDS + 2];
	struct span rest = span_of(conf->multi_instance_wrapper), word;
	size_t count = 0;

	while (count < WRAPPER_WORDS && (word = span_word(&rest, " \t\r\n")).n > 0)
		argv[count++] = mem_dup(word);
	argv[count++] = command;
	argv[count] = NULL;
	(void)execv(argv[0], argv);
	fatal("cannot run %s: %s", argv[0], strerror(errno));
}

int main(int argc, char **argv)
{
	const char *from_environment = getenv("MAIL_CONFIG");
	int option;

	log_open("postern", -1);
	/* "+": what follows the subcommand is its own. */
	while ((option = getopt(argc, argv, "+c:vD")) >= 0) {
		if (option == 'c')
			state.directory = optarg;
		else if (option == 'v')
			log_verbose(log_verbosity() + 1);
		else if (option != 'D')
			usage();
	}
	if (optind >= argc)
		usage();
	(void)umask(022);
	conf_load_command(state.directory);
	if (state.directory == NULL && (from_environment == NULL || *from_environment == '\0') &&
	    *conf->multi_instance_wrapper != '\0' && *conf->multi_instance_directories != '\0')
		run_wrapper(argv[optind]);
	state.directory = mem_dup_str(conf_directory(state.directory));
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		if (strcmp(families[i].name, argv[optind]) == 0) {
			check_caller();
			return families[i].run(argc - optind, argv + optind);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(verbs) && optind == argc - 1; i++) {
		if (strcmp(verbs[i].name, argv[optind]) == 0) {
			check_caller();
			return verbs[i].run();
		}
	}
	log_error("unknown command: %s", log_clean_str(argv[optind]));
	usage();
}
