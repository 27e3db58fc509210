/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_LOGROTATE_H
#define POSTERN_LOGROTATE_H

#include <stdbool.h>

#include "base/compiler.h"

/*
 * Puts maillog_file aside under a name with maillog_file_rotate_suffix, calls `reopen`, which shall
 * have the log service open a new one, and has maillog_file_compressor compress the old one. False
 * when something failed, which was logged; the file is then at least where it can be found.
 */
MUST_USE bool logrotate(bool (*reopen)(void));

#endif
