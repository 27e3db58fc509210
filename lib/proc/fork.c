/* SPDX-License-Identifier: MIT */
/* New processes on a busy machine; see fork.h. Runs in daemons that start others for a message. */

#include "proc/fork.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

static struct {
	int attempts;
	int64_t delay_ms;
} patience = { .attempts = 1 };

void fork_patience(int attempts, int64_t delay_ms)
{
	patience.attempts = attempts;
	patience.delay_ms = delay_ms;
}

static void pause_ms(int64_t ms)
{
	struct timespec left = { .tv_sec = (time_t)(ms / 1000),
				 .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

pid_t fork_patiently(void)
{
	pid_t pid = fork();

	for (int tried = 1; pid < 0 && tried < patience.attempts; tried++) {
		pause_ms(patience.delay_ms);
		pid = fork();
	}
	return pid;
}
