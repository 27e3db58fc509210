/* SPDX-License-Identifier: MIT */
/* What lib/proc has that needs no daemon: patience with fork(2), names of syslog facilities. */

#include "test.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "proc/facility.h"
#include "proc/fork.h"

enum { NOBODY = 65534, ATTEMPTS = 4, DELAY_MS = 20 };

/* In a process that may have no child: 0 when it was tried as often as it should, and no more. */
static int try_in_vain(void)
{
	struct rlimit none = { 0, 0 };
	struct clock_mono start;

	if ((geteuid() == 0 && setuid(NOBODY) < 0) || setrlimit(RLIMIT_NPROC, &none) < 0)
		return 1;
	fork_patience(ATTEMPTS, DELAY_MS);
	start = clock_mono_now();
	if (fork_patiently() >= 0 || errno != EAGAIN)
		return 2;
	return clock_is_past(clock_add_ms(start, (ATTEMPTS - 1) * DELAY_MS)) ? 0 : 3;
}

static void test_fork(void)
{
	int status = 0;
	pid_t pid = fork_patiently();

	if (pid == 0)
		_exit(try_in_vain());
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}

static void test_facility(void)
{
	CHECK_INT(facility_number("mail"), LOG_MAIL);
	CHECK_INT(facility_number("local7"), LOG_LOCAL7);
	CHECK_INT(facility_number("security"), LOG_AUTH);
	CHECK_INT(facility_number("nonsense"), LOG_MAIL);
}

int main(void)
{
	TEST(fork);
	TEST(facility);
	return test_end();
}
