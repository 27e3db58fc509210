/* SPDX-License-Identifier: MIT */
/*
 * Linked into every program by SAN=1. A sanitizer's report goes to the file that the tests put at
 * REPORTS, if there is one, opened before the program enters its jail; else to standard error.
 * Leaks are not looked for: what a command has at its end is the kernel's to free.
 */

#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <unistd.h>

#define REPORTS "/etc/postern-san-reports"

/* Above all descriptors that master hands out. */
enum { LOWEST_FD = 900 };

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0:exitcode=99:handle_abort=1";
}

__attribute__((constructor)) static void open_reports(void)
{
	int fd = open(REPORTS, O_WRONLY | O_APPEND | O_CLOEXEC), high;

	if (fd < 0)
		return;
	high = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);
	(void)close(fd);
	if (high >= 0)
		__sanitizer_set_report_fd((void *)(long)high); /* the interface wants it as a pointer */
}
