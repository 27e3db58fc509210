/* SPDX-License-Identifier: MIT */
#ifndef CONF_COMPUTED_H
#define CONF_COMPUTED_H

/* Defaults that depend on the machine and on the process, not on a table. */

#include "conf/expand.h"

/*
 * The value of a name that is never taken from the table: $config_directory, $process_name,
 * $process_id, $service_name and $stress always, $myorigin when it is set to the name of a file,
 * $myhostname, $mydomain and $mynetworks when `is_set` is false. NULL for any other name. The last three
 * are found out once in a process; the result is borrowed until the next call.
 */
const char *conf_computed(const struct conf_scope *scope, struct span name, bool is_set);

/* Forgets what was found out, for master's reload. */
void conf_computed_reset(void);

#endif
