/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_FOREIGN_H
#define QUEUE_FOREIGN_H

#include <stdbool.h>

/*
 * Whether a queue directory holds mail in the format of Postfix, which nobody here can read: it
 * looks at one file of each directory, also one level down, as hash_queue_names makes them. For
 * `postern check` and `start`.
 */
bool queue_is_foreign(const char *queue_directory);

#endif
