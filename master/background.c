/* SPDX-License-Identifier: MIT */
/* The two processes of `postern start`; see background.h. Both are root. */

#include "master/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/span.h"

enum { TEXT_MAX = 8192 };

static int report_fd = -1; /* the foreground process waits at the other end */

/* As the other messages of the command. */
static void complain(struct span lines)
{
	struct span line;

	while (span_line(&lines, &line))
		(void)fprintf(stderr, "postern: error: %.*s\n", SPAN_ARG(line));
}

/* The process in the foreground: waits for the verdict of the one in the background. */
NORETURN static void wait_for_start(int fd)
{
	char text[TEXT_MAX];
	size_t used = 0;
	ssize_t size;

	while (used < sizeof(text) && (size = read(fd, text + used, sizeof(text) - used)) > 0)
		used += (size_t)size;
	if (used == 1 && text[0] == '\0')
		_exit(0);
	if (used == 0)
		complain(SPAN("master ended before it was ready; the log says why"));
	else
		complain((struct span){ text, used - 1 });
	_exit(1);
}

void background_enter(void)
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
	report_fd = pipe_fds[1];
	(void)setsid();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(null, fd);
}

bool background_is_waited_for(void)
{
	return report_fd >= 0;
}

void background_report(const char *errors)
{
	if (report_fd < 0)
		return;
	(void)!write(report_fd, errors, strlen(errors) + 1);
	(void)close(report_fd);
	report_fd = -1;
}

void background_fail(const char *errors)
{
	if (background_is_waited_for())
		background_report(errors);
	else
		complain(span_of(errors));
}
