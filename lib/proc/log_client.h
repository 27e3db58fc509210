/* SPDX-License-Identifier: MIT */
#ifndef PROC_LOG_CLIENT_H
#define PROC_LOG_CLIENT_H

/* The mail log for commands: postlogd has no pipe from them (base/log.h), but a socket. */

#include "base/log.h"

/*
 * Writes one line, `text` without control characters, under `tag` ("postfix/postsuper", the same for
 * all lines of a process): to the socket that postlog_service_name names, or to syslog when nobody
 * takes it there. A full socket is waited for a little, once: a script may not hang.
 */
void log_client_write(enum log_severity severity, const char *tag, const char *text);

#endif
