/* SPDX-License-Identifier: MIT */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/*
 * Log lines, and the two ways to end a program.
 *
 * A line goes out in one write of at most LOG_LINE_MAX bytes, to the sink that log_open() got:
 * for a daemon a pipe that master holds and postlog reads, so a line is whole and survives a
 * crash of the reader; for a command standard error. The record in the pipe is
 *
 *     MICROSECONDS SEVERITY TAG[PID]: TEXT\n        (SEVERITY is i, w, e, f or p)
 *
 * Library code, lib/proc and running out of memory aside, never logs; programs do, once, at
 * the place that decides. Remote text is printed with "%s" of log_clean() only.
 */

#include "base/span.h"

enum { LOG_LINE_MAX = 2048 };

enum log_severity { LOG_SEV_INFO, LOG_SEV_WARNING, LOG_SEV_ERROR, LOG_SEV_FATAL, LOG_SEV_PANIC };

/*
 * `tag` ("postfix/smtpd") is copied. `fd` is a log pipe and takes records, or -1: then lines
 * go to standard error as people read them. Before the first call lines go to standard error.
 */
void log_open(const char *tag, int fd);
int log_fd(void); /* for who closes all others */

/* Makes the record of a line, cut where it is too long. Gives its length. */
size_t log_record(char record[LOG_LINE_MAX], enum log_severity severity, const char *tag,
		  const char *text);

/*
 * A second reader of the lines, such as the log service or file of a command, or who waits for this
 * process to start. What the reader itself logs is not copied.
 */
typedef void log_copy_fn(enum log_severity severity, const char *tag, const char *text);
void log_copy_to(log_copy_fn *copy);

/* log_debug lines appear as info when log_verbose() was called with a level above 0. */
void log_verbose(int level);
int log_verbosity(void);

void log_debug(const char *format, ...) PRINTF_LIKE(1, 2);
void log_info(const char *format, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *format, ...) PRINTF_LIKE(1, 2);
void log_error(const char *format, ...) PRINTF_LIKE(1, 2);

/*
 * fatal(): the environment is broken (no memory, bad configuration, broken queue folder). Logs
 * and exits with 1, or what log_fatal_status() set, after the hook that log_on_fatal() set: a
 * session daemon answers 421 there, and who writes a file takes away what is unfinished.
 * panic(): a bug of ours; logs and aborts. Never reachable from remote input.
 */
NORETURN void fatal(const char *format, ...) PRINTF_LIKE(1, 2);
NORETURN void panic(const char *format, ...) PRINTF_LIKE(1, 2);
void log_on_fatal(void (*hook)(void));
void log_fatal_status(int status);

/*
 * Remote text made fit for a log line: bytes that are not printable ASCII or well-formed UTF-8
 * become "?", and it is cut at 400 bytes. The result lives in one of eight static buffers,
 * until the eighth call from now.
 */
const char *log_clean(struct span s);
const char *log_clean_str(const char *text);

/* "warning: ", "error: ", "fatal: ", "panic: " or "", as Postfix prefixes its lines. */
const char *log_severity_prefix(enum log_severity severity);

#endif
