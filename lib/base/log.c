/* SPDX-License-Identifier: MIT */
/* Log lines, fatal() and panic(); see log.h. */

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/utf8.h"

static struct {
	char tag[96];
	int fd;
	int level;
	log_copy_fn *copy;
	bool is_copying;
	void (*on_fatal)(void);
	int fatal_status;
	bool is_dying;
} logger = { .tag = "postfix", .fd = -1, .fatal_status = 1 };

void log_open(const char *tag, int fd)
{
	(void)snprintf(logger.tag, sizeof(logger.tag), "%s", tag);
	logger.fd = fd;
}

int log_fd(void)
{
	return logger.fd;
}

void log_copy_to(log_copy_fn *copy)
{
	logger.copy = copy;
}

void log_verbose(int level)
{
	logger.level = level;
}

int log_verbosity(void)
{
	return logger.level;
}

void log_on_fatal(void (*hook)(void))
{
	logger.on_fatal = hook;
}

void log_fatal_status(int status)
{
	logger.fatal_status = status;
}

const char *log_severity_prefix(enum log_severity severity)
{
	switch (severity) {
	case LOG_SEV_INFO: return "";
	case LOG_SEV_WARNING: return "warning: ";
	case LOG_SEV_ERROR: return "error: ";
	case LOG_SEV_FATAL: return "fatal: ";
	case LOG_SEV_PANIC: return "panic: ";
	}
	return "";
}

size_t log_record(char record[LOG_LINE_MAX], enum log_severity severity, const char *tag,
		  const char *text)
{
	int size = snprintf(record, LOG_LINE_MAX, "%lld %c %s[%d]: %s\n",
			    (long long)clock_wall_now().us, "iwefp"[severity], tag, (int)getpid(),
			    text);

	if ((size_t)size < LOG_LINE_MAX)
		return (size_t)size;
	record[LOG_LINE_MAX - 2] = '\n';
	return LOG_LINE_MAX - 1;
}

/* One line, whatever was formatted: a line end or control character inside becomes "?". */
static void mask_controls(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

PRINTF_LIKE(2, 0)
static void log_line(enum log_severity severity, const char *format, va_list args)
{
	int saved = errno;
	char text[LOG_LINE_MAX - 160] NOT_CLEARED;
	char line[LOG_LINE_MAX] NOT_CLEARED;

	(void)vsnprintf(text, sizeof(text), format, args);
	mask_controls(text);

	int size;

	if (logger.fd >= 0)
		size = (int)log_record(line, severity, logger.tag, text);
	else
		size = snprintf(line, sizeof(line), "%s: %s%s\n", logger.tag,
				log_severity_prefix(severity), text);
	if (size > 0)
		(void)!fd_write_all(logger.fd >= 0 ? logger.fd : STDERR_FILENO,
				    (struct span){ line, (size_t)size });
	/* The reader may fail, for want of memory say: what it logs then is not copied. */
	if (logger.copy != NULL && !logger.is_copying) {
		logger.is_copying = true;
		logger.copy(severity, logger.tag, text);
		logger.is_copying = false;
	}
	errno = saved;
}

#define LOG_FROM_ARGS(severity) \
	do { \
		va_list args; \
		va_start(args, format); \
		log_line(severity, format, args); \
		va_end(args); \
	} while (0)

void log_debug(const char *format, ...)
{
	if (logger.level > 0)
		LOG_FROM_ARGS(LOG_SEV_INFO);
}

void log_info(const char *format, ...)
{
	LOG_FROM_ARGS(LOG_SEV_INFO);
}

void log_warn(const char *format, ...)
{
	LOG_FROM_ARGS(LOG_SEV_WARNING);
}

void log_error(const char *format, ...)
{
	LOG_FROM_ARGS(LOG_SEV_ERROR);
}

void fatal(const char *format, ...)
{
	LOG_FROM_ARGS(LOG_SEV_FATAL);
	if (logger.on_fatal != NULL && !logger.is_dying) {
		logger.is_dying = true;
		logger.on_fatal();
	}
	_exit(logger.fatal_status);
}

void panic(const char *format, ...)
{
	LOG_FROM_ARGS(LOG_SEV_PANIC);
	abort();
}

enum { CLEAN_BUFFERS = 8, CLEAN_MAX = 400 };

const char *log_clean(struct span s)
{
	static char buffers[CLEAN_BUFFERS][CLEAN_MAX + 8];
	static unsigned next;
	char *out = buffers[next++ % CLEAN_BUFFERS];
	size_t at = 0, used = 0;

	while (at < s.n && used < CLEAN_MAX) {
		size_t length = utf8_char_length(span_from(s, at));

		if (length == 1 && ascii_is_print(s.p[at])) {
			out[used++] = s.p[at++];
		} else if (length > 1) {
			memcpy(out + used, s.p + at, length);
			used += length;
			at += length;
		} else {
			out[used++] = '?';
			at++;
		}
	}
	out[used] = '\0';
	return out;
}

const char *log_clean_str(const char *text)
{
	return log_clean(span_of(text));
}
