/* SPDX-License-Identifier: MIT */
/*
 * spawn: runs the command of its master.cf entry for each connection, with the connection as
 * standard input, output and error, as the user named there. Manual: spawn(8).
 *
 * Runs as root, to become that user. It never reads from the connection, so that what is said
 * there reaches the command alone; user and command are the administrator's.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "conf/snapshot.h"
#include "deliver/environment.h"
#include "proc/fork.h"
#include "proc/run_as.h"
#include "proc/service.h"

enum { ENVIRONMENT_BYTES = 32768, CANNOT_RUN = 127 };

static struct {
	struct run_as identity;
	const char **argv;
	const char **environment;
	int time_limit_s;
} state;

/* ---- start ---- */

/* Strings with a NUL behind each, as a vector that ends with NULL. */
static const char **make_vector(struct span strings)
{
	const char **vector = mem_array(strings.n + 1, sizeof(*vector));
	struct span one;
	size_t count = 0;

	while (span_cut(strings, '\0', &one, &strings))
		vector[count++] = one.p;
	return vector;
}

static void make_environment(void)
{
	struct buf strings = BUF_INIT(ENVIRONMENT_BYTES);

	environment_start(&strings, conf->export_environment);
	state.environment = make_vector(buf_span(&strings));
	(void)buf_steal(&strings); /* the vector refers to it */
}

/* "user=NAME argv=COMMAND ARGUMENT ..." */
static void take_arguments(struct span arguments)
{
	struct span one, rest = arguments, user = { NULL, 0 };
	struct buf error = BUF_INIT(1024);

	while (span_cut(rest, '\0', &one, &rest)) {
		if (span_starts(one, SPAN("argv="))) {
			state.argv = make_vector((struct span){
				one.p + 5, (size_t)(arguments.p + arguments.n - one.p) - 5 });
			break;
		}
		if (!span_starts(one, SPAN("user=")))
			fatal("%s: expected user= or argv=: %.*s", service.name, SPAN_ARG(one));
		user = span_from(one, 5);
	}
	if (user.n == 0)
		fatal("%s: missing user= attribute", service.name);
	if (state.argv == NULL || *state.argv[0] == '\0')
		fatal("%s: missing argv= attribute", service.name);
	if (!run_as_find(user, conf->mail_owner, service.is_single_uid, &state.identity, &error))
		fatal("%s: %s", service.name, buf_str(&error));
	buf_done(&error);
}

static void prepare(void)
{
	struct span arguments = { NULL, 0 };

	(void)conf_snapshot_extra_get("argv", &arguments);
	take_arguments(arguments);
	make_environment();
	state.time_limit_s = conf_transport_time(service.name, "time_limit");
}

/* ---- a connection ---- */

static bool become_user(const struct run_as *who)
{
	return service.is_single_uid ||
	       (initgroups(who->user, who->gid) == 0 &&
		setresgid(who->gid, who->gid, who->gid) == 0 &&
		setresuid(who->uid, who->uid, who->uid) == 0 && setuid(0) < 0);
}

NORETURN static void be_command(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	sigset_t none;

	(void)setsid();
	/* Commands expect to wait for their input. */
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 || dup2(fd, 0) < 0 ||
	    dup2(fd, 1) < 0 || dup2(fd, 2) < 0 || !become_user(&state.identity))
		_exit(CANNOT_RUN);
	(void)close_range(3, ~0U, 0);
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)umask(077);
	environ = (char **)(uintptr_t)state.environment;
	(void)execvp(state.argv[0], (char *const *)(uintptr_t)state.argv);
	_exit(CANNOT_RUN);
}

/* True when the command ended by itself. */
static bool wait_for_end(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	struct clock_mono deadline = state.time_limit_s > 0
					     ? clock_in_ms((int64_t)state.time_limit_s * 1000)
					     : CLOCK_NEVER;
	int ready;

	if (pidfd < 0)
		return true; /* waitpid() waits without limit, then */
	do {
		ready = poll(&p, 1, clock_poll_ms(deadline));
	} while (ready < 0 && errno == EINTR);
	(void)close(pidfd);
	return ready != 0;
}

static void explain(int status)
{
	const char *name = state.argv[0];

	if (WIFSIGNALED(status))
		log_warn("command %s: killed by signal %d", name, WTERMSIG(status));
	else if (WEXITSTATUS(status) == CANNOT_RUN)
		log_warn("command %s: cannot be run", name);
	else if (WEXITSTATUS(status) != 0)
		log_warn("command %s: exit status %d", name, WEXITSTATUS(status));
}

static void serve(int fd, const char *client)
{
	pid_t pid = fork_patiently();
	int status = 0;

	(void)client;
	if (pid == 0)
		be_command(fd);
	(void)close(fd);
	if (pid < 0) {
		log_warn("fork: %s", strerror(errno));
		return;
	}
	if (!wait_for_end(pid)) {
		log_warn("command %s: time limit exceeded (%d s)", state.argv[0],
			 state.time_limit_s);
		(void)kill(-pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	explain(status);
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "spawn",
		.kind = SERVICE_WORKERS,
		.prepare = prepare,
		.serve = serve,
	};

	return service_main(argc, argv, &program);
}
