/* SPDX-License-Identifier: MIT */
/*
 * postern logrotate; see logrotate.h. Run by the administrator. The names are the configuration's.
 */

#include "commands/postern/logrotate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"

enum { SUFFIX_MAX = 256, COMPRESSOR_WORDS = 16, CANNOT_RUN = 127 };

/* The name under which the file is put aside, for the caller to free; NULL when there is none. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the format is the administrator's */
static char *name_aside(const char *path)
{
	char suffix[SUFFIX_MAX];
	time_t now = time(NULL);
	struct tm parts;

	if (localtime_r(&now, &parts) == NULL ||
	    strftime(suffix, sizeof(suffix), conf->maillog_file_rotate_suffix, &parts) == 0) {
		log_error("maillog_file_rotate_suffix: %s gives no name",
			  conf->maillog_file_rotate_suffix);
		return NULL;
	}
	return mem_printf("%s.%s", path, suffix);
}
#pragma GCC diagnostic pop

/* Never over a file that is there: link(2) makes a name, or fails. */
static bool put_aside(const char *path, const char *aside)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		log_error("maillog_file %s: %s", path, strerror(errno));
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		log_error("maillog_file %s: not a regular file", path);
		return false;
	}
	if (link(path, aside) < 0 || unlink(path) < 0) {
		log_error("cannot rename %s to %s: %s", path, aside, strerror(errno));
		return false;
	}
	return true;
}

/* The command with the file's name as its last argument. */
NORETURN static void run_compressor(char *aside)
{
	char *argv[COMPRESSOR_WORDS + 2];
	struct span rest = span_of(conf->maillog_file_compressor), word;
	size_t count = 0;

	while (count < COMPRESSOR_WORDS && (word = span_word(&rest, " \t\r\n")).n > 0)
		argv[count++] = mem_dup(word);
	argv[count++] = aside;
	argv[count] = NULL;
	(void)execvp(argv[0], argv);
	log_error("cannot run %s: %s", argv[0], strerror(errno));
	_exit(CANNOT_RUN);
}

static bool compress(char *aside)
{
	int status = 0;
	pid_t pid;

	if (span_trim(span_of(conf->maillog_file_compressor)).n == 0)
		return true;
	pid = fork();
	if (pid == 0)
		run_compressor(aside);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	log_error("%s was not compressed: %s failed", aside, conf->maillog_file_compressor);
	return false;
}

bool logrotate(bool (*reopen)(void))
{
	const char *path = conf->maillog_file;
	char *aside;
	bool is_good;

	if (*path == '\0' || span_starts(span_of(path), SPAN("/dev/"))) {
		log_error("maillog_file is %s: there is nothing to rotate",
			  *path == '\0' ? "empty" : path);
		return false;
	}
	aside = name_aside(path);
	if (aside == NULL)
		return false;
	is_good = put_aside(path, aside) && reopen() && compress(aside);
	free(aside);
	return is_good;
}
