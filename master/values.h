/* SPDX-License-Identifier: MIT */
#ifndef MASTER_VALUES_H
#define MASTER_VALUES_H

/* The snapshot that a process of a service gets: its parameters, and what master alone knows. */

struct wanted;

/*
 * Writes the snapshot for what is wanted; `listeners` names its sockets ("8 front 9 @public"). A
 * descriptor for the new process to read it from, or -1.
 */
int values_write(const struct wanted *wanted, const char *listeners);

#endif
