/* SPDX-License-Identifier: MIT */
/*
 * Linked into every program by SAN=1. What a sanitizer reports goes to standard error, which is
 * /dev/null in daemons: there it becomes the file that the tests put at REPORTS, if there is one,
 * opened before the program enters its jail. (A report path of the sanitizers' own would have to
 * be opened inside of it, and a report descriptor serves one of their two libraries alone.)
 * Leaks are not looked for: what a command has at its end is the kernel's to free.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define REPORTS "/etc/postern-san-reports"

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:exitcode=99";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1:exitcode=99";
}

static int is_null_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

__attribute__((constructor)) static void open_reports(void)
{
	int fd;

	if (!is_null_device(STDERR_FILENO))
		return;
	fd = open(REPORTS, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)dup2(fd, STDERR_FILENO);
	(void)close(fd);
}
