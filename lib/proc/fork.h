/* SPDX-License-Identifier: MIT */
#ifndef PROC_FORK_H
#define PROC_FORK_H

#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"

/*
 * fork(2), tried again while the machine has no process or no memory to give. It waits, so it is
 * for processes that do one thing at a time. As fork(2) otherwise: -1 with errno.
 */
MUST_USE pid_t fork_patiently(void);

/* How often it is tried, at least once, and how long between: fork_attempts, fork_delay. */
void fork_patience(int attempts, int64_t delay_ms);

#endif
