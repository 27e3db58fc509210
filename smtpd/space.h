/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_SPACE_H
#define SMTPD_SPACE_H

#include <stdbool.h>
#include <stdint.h>

/* Before the jail: takes hold of something on the queue's file system. */
void space_prepare(const char *queue_directory);

/*
 * Whether a message of `size_bytes` (0: not known) may be taken: postconf(5) queue_minfree, and
 * one and a half times message_size_limit. A file system that does not tell is taken as empty.
 */
bool space_is_enough(uint64_t size_bytes);

#endif
