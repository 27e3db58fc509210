/* SPDX-License-Identifier: MIT */
#ifndef CONF_SNAPSHOT_H
#define CONF_SNAPSHOT_H

/*
 * What master gives a service to start with: one sealed memory file with the values that the
 * program may see and that differ from the built-in defaults, expanded and checked, and
 * anything master wants to add under names of its own.
 */

#include "conf/load.h"

struct conf_snapshot;

/*
 * Evaluates the scope for a program; bad values are reported (and count in report->errors) and
 * left out. The caller frees it.
 */
struct conf_snapshot *conf_snapshot_new(const struct conf_scope *scope, enum conf_program program,
					struct conf_report *report);
void conf_snapshot_free(struct conf_snapshot *snapshot);

/* Adds bytes under a name; a name that is added twice has the last value. */
void conf_snapshot_extra_set(struct conf_snapshot *snapshot, const char *name, struct span value);

/* A sealed memory file (close-on-exec) with all of it; -1 with errno. The caller closes it. */
MUST_USE int conf_snapshot_write(struct conf_snapshot *snapshot);

/*
 * In the service: sets `conf` from the file, which stays open and may be read again. `is_lmtp`:
 * this is the smtp program started as lmtp. NULL when it is good; otherwise what is wrong: the
 * file is no snapshot, was cut off, or comes from another version.
 */
MUST_USE const char *conf_snapshot_load(int fd, bool is_lmtp);

/* The same from memory: the bytes are copied. */
MUST_USE const char *conf_snapshot_parse(struct span bytes, bool is_lmtp);

/* What master added under a name, until the next load; false when there is nothing. */
bool conf_snapshot_extra_get(const char *name, struct span *ret_value);

#endif
