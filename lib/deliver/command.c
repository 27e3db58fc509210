/* SPDX-License-Identifier: MIT */
/*
 * Running a command with a message as its input; see act.h. Runs as the user whom the command
 * is for; neither the command nor what it says is trusted with anything but its own delivery.
 */

#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "deliver/act.h"
#include "proc/fork.h"

enum { OUTPUT_KEPT = 2048, ARGUMENTS_MAX = 1024, DRAIN_READS = 64 };

/* ---- what exit codes mean ---- */

bool command_exit_text(int code, const char **ret_status, const char **ret_text)
{
	static const struct {
		int code;
		const char *status, *text;
	} rows[] = {
		{ 64, "5.3.0", "command line usage error" },
		{ 65, "5.6.0", "data format error" },
		{ 66, "5.3.0", "cannot open input" },
		{ 67, "5.1.1", "user unknown" },
		{ 68, "5.1.2", "host name unknown" },
		{ 69, "5.3.0", "service unavailable" },
		{ 70, "5.3.0", "internal software error" },
		{ 71, "4.3.0", "system resource problem" },
		{ 72, "5.3.0", "critical OS file missing" },
		{ 73, "5.2.0", "can't create user output file" },
		{ 74, "5.3.0", "input/output error" },
		{ 75, "4.3.0", "temporary failure" },
		{ 76, "5.5.0", "remote error in protocol" },
		{ 77, "5.7.0", "permission denied" },
		{ 78, "5.3.5", "local configuration error" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].code != code)
			continue;
		*ret_status = rows[i].status;
		*ret_text = rows[i].text;
		return true;
	}
	return false;
}

bool command_needs_shell(const char *text)
{
	return text[strspn(text, "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ \t")] != '\0';
}

/* ---- the child ---- */

/* The words of `text` as an argument vector, in memory that the exec throws away. */
static size_t split_words(const char *text, const char **argv, size_t room)
{
	struct span rest = span_of(text), word;
	size_t count = 0;

	while (count + 1 < room && (word = span_word(&rest, " \t")).n > 0)
		argv[count++] = mem_dup(word);
	argv[count] = NULL;
	return count;
}

static void exec_argv(const char *const *argv)
{
	char *const *vector = (char *const *)(uintptr_t)argv;

	(void)execvp(argv[0], vector);
}

static void exec_command(const struct command *command)
{
	const char *argv[ARGUMENTS_MAX + 2];
	size_t count;

	if (command->text == NULL) {
		exec_argv(command->argv);
		return;
	}
	count = split_words(command->shell, argv, ARGUMENTS_MAX);
	if (count == 0 && !command_needs_shell(command->text)) {
		if (split_words(command->text, argv, ARGUMENTS_MAX) > 0)
			exec_argv(argv);
		if (argv[0] != NULL && (errno != ENOENT || strchr(argv[0], '/') != NULL))
			return;
	}
	if (count == 0) {
		argv[count++] = _PATH_BSHELL; /* also for what only a shell has: "exit 75" */
		argv[count++] = "-c";
	}
	argv[count++] = command->text;
	argv[count] = NULL;
	exec_argv(argv);
}

NORETURN static void be_command(const struct command *command, int input, int output, int failed)
{
	sigset_t none;
	int error;

	(void)setsid();
	if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 || dup2(failed, 3) < 0)
		_exit(75);
	(void)fcntl(3, F_SETFD, FD_CLOEXEC);
	(void)close_range(4, ~0U, 0);
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)umask(077);
	environ = (char **)(uintptr_t)command->environment;
	exec_command(command);
	error = errno;
	(void)!write(3, &error, sizeof(error));
	_exit(75);
}

/* ---- the parent ---- */

struct run {
	pid_t pid;
	int pidfd;
	int input;  /* to the command; -1 when it has closed it */
	int output; /* from the command; -1 at its end */
	int failed; /* errno of exec comes here */
	struct clock_mono deadline;
	bool is_late;
	struct buf said;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* Takes what the command said; keeps its beginning. */
static void read_output(struct run *run)
{
	char data[4096];
	ssize_t size = read(run->output, data, sizeof(data));

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0) {
		close_fd(&run->output);
		return;
	}
	size_t room = OUTPUT_KEPT - run->said.length;

	(void)buf_append(&run->said, data, (size_t)size < room ? (size_t)size : room);
}

/*
 * Waits until the input takes more (with `wants_input`) or the command has ended; reads output
 * meanwhile. False at the end of the command, or of the time.
 */
static bool wait_step(struct run *run, bool wants_input)
{
	struct pollfd fds[3] = {
		{ .fd = run->pidfd, .events = POLLIN },
		{ .fd = run->output, .events = POLLIN },
		{ .fd = wants_input ? run->input : -1, .events = POLLOUT },
	};
	int ready = poll(fds, ARRAY_LEN(fds), clock_poll_ms(run->deadline));

	if (ready < 0)
		return errno == EINTR;
	if (ready == 0) {
		run->is_late = true;
		return false;
	}
	if (fds[1].revents != 0)
		read_output(run);
	return fds[2].revents != 0 || fds[0].revents == 0;
}

/* A sink that does not mind a command that stops reading: its exit code counts. */
static bool feed(void *context, struct span bytes)
{
	struct run *run = context;

	while (bytes.n > 0 && run->input >= 0) {
		ssize_t done = write(run->input, bytes.p, bytes.n);

		if (done >= 0) {
			bytes = span_from(bytes, (size_t)done);
		} else if (errno == EPIPE) {
			close_fd(&run->input);
		} else if (errno != EAGAIN && errno != EINTR) {
			return false;
		} else if (!wait_step(run, true)) {
			close_fd(&run->input); /* it has ended, or its time has */
		}
	}
	return true;
}

static bool make_pipes(int input[2], int output[2], int failed[2])
{
	if (pipe2(input, O_CLOEXEC) < 0)
		return false;
	if (pipe2(output, O_CLOEXEC) < 0)
		return false;
	return pipe2(failed, O_CLOEXEC) == 0;
}

static bool start(struct run *run, const struct command *command)
{
	int input[2] = { -1, -1 }, output[2] = { -1, -1 }, failed[2] = { -1, -1 };
	bool is_made = make_pipes(input, output, failed);

	run->pid = is_made ? fork_patiently() : -1;
	if (run->pid == 0)
		be_command(command, input[0], output[1], failed[1]);
	run->pidfd = run->pid > 0 ? (int)syscall(SYS_pidfd_open, run->pid, 0) : -1;

	int saved = errno;

	run->input = input[1];
	run->output = output[0];
	run->failed = failed[0];
	close_fd(&input[0]);
	close_fd(&output[1]);
	close_fd(&failed[1]);
	if (run->input >= 0)
		(void)fcntl(run->input, F_SETFL, O_NONBLOCK);
	if (run->output >= 0)
		(void)fcntl(run->output, F_SETFL, O_NONBLOCK);
	errno = saved;
	return run->pid > 0 && run->pidfd >= 0;
}

static void kill_group(const struct run *run)
{
	(void)kill(-run->pid, SIGKILL);
	(void)kill(run->pid, SIGKILL); /* should it not have got its group yet */
}

/* One line of printable text. */
static void clean_output(struct buf *said)
{
	for (size_t i = 0; i < said->length; i++) {
		char *c = &said->data[i];

		if (*c == '\n' || *c == '\t' || *c == '\r')
			*c = ' ';
		else if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
}

static void explain_exit(const struct command *command, const struct run *run, int code,
			 struct act *act)
{
	struct span said = buf_span(&run->said), rest;
	const char *status, *text, *join = said.n > 0 ? ". Command output: " : "";
	size_t length = dsn_status_length(said);

	if (length > 0 && (said.p[0] == '4' || said.p[0] == '5')) {
		dsn_split(said, "5.3.0", act->status, &rest);
		buf_reset(&act->reason);
		(void)buf_add(&act->reason, rest);
		if (rest.n == 0)
			(void)buf_text(&act->reason, "command failed");
	} else if (command_exit_text(code, &status, &text)) {
		act_fail(act, status, 0, "%s%s%.*s", text, join, SPAN_ARG(said));
	} else {
		/* sh(1): what cannot be found or executed is amiss here, not with the mail. */
		status = code == 126 || code == 127 ? "4.3.0" : "5.3.0";
		act_fail(act, status, 0, "Command died with status %d: \"%s\"%s%.*s", code,
			 command->title, join, SPAN_ARG(said));
	}
}

static void explain(const struct command *command, const struct run *run, int wait_status,
		    struct act *act)
{
	struct span said = buf_span(&run->said);
	const char *join = said.n > 0 ? ". Command output: " : "";

	(void)buf_set(&act->diagnostic, said);
	if (run->is_late)
		act_fail(act, "5.3.0", 0, "Command time limit exceeded: \"%s\"%s%.*s", command->title,
			 join, SPAN_ARG(said));
	else if (WIFSIGNALED(wait_status))
		act_fail(act, "4.3.0", 0, "Command died with signal %d: \"%s\"%s%.*s",
			 WTERMSIG(wait_status), command->title, join, SPAN_ARG(said));
	else if (WEXITSTATUS(wait_status) != 0)
		explain_exit(command, run, WEXITSTATUS(wait_status), act);
}

static void finish(const struct command *command, struct run *run, enum message_status copied,
		   int copy_error, struct act *act)
{
	int wait_status = 0, exec_error = 0;

	if (copied != MESSAGE_OK)
		kill_group(run); /* before it sees the end of its input, and believes it whole */
	close_fd(&run->input);
	while (!run->is_late && wait_step(run, false))
		;
	if (run->is_late)
		kill_group(run);
	while (waitpid(run->pid, &wait_status, 0) < 0 && errno == EINTR)
		;
	for (int i = 0; i < DRAIN_READS && run->output >= 0; i++)
		read_output(run);
	clean_output(&run->said);
	if (read(run->failed, &exec_error, sizeof(exec_error)) == (ssize_t)sizeof(exec_error)) {
		act_fail(act, "4.3.0", exec_error, "cannot execute \"%s\"", command->title);
	} else if (copied != MESSAGE_OK) {
		errno = copy_error;
		act_copy_failed(act, copied, "to command");
	} else {
		explain(command, run, wait_status, act);
	}
}

void command_run(const struct command *command, int queue_fd, const struct message_format *format,
		 struct act *ret)
{
	struct run run = { .pidfd = -1, .input = -1, .output = -1, .failed = -1 };

	buf_init(&run.said, OUTPUT_KEPT);
	run.deadline = command->time_limit_s > 0 ? clock_in_ms((int64_t)command->time_limit_s * 1000)
						 : CLOCK_NEVER;
	(void)signal(SIGPIPE, SIG_IGN);
	if (start(&run, command)) {
		enum message_status copied = message_copy(queue_fd, format, feed, &run);

		finish(command, &run, copied, errno, ret);
	} else {
		act_fail(ret, "4.3.0", errno, "cannot start \"%s\"", command->title);
		if (run.pid > 0) {
			kill_group(&run);
			(void)waitpid(run.pid, NULL, 0);
		}
	}
	close_fd(&run.pidfd);
	close_fd(&run.input);
	close_fd(&run.output);
	close_fd(&run.failed);
	buf_done(&run.said);
}
