/* SPDX-License-Identifier: MIT */
#ifndef MASTER_BACKGROUND_H
#define MASTER_BACKGROUND_H

/*
 * master -w: one process waits in the foreground and says with its exit status, and on standard
 * error, whether the mail system has come up; the other one is master.
 */

#include <stdbool.h>

/* Returns in the background process alone. */
void background_enter(void);

/* Whether the foreground process still waits; never without background_enter(). */
bool background_is_waited_for(void);

/* Tells it how the start went, once: "" is success, else what is wrong, one line each. */
void background_report(const char *errors);

/* The same about a start that failed; without anybody who waits, on standard error. */
void background_fail(const char *errors);

#endif
