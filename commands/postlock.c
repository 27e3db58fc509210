/* SPDX-License-Identifier: MIT */
/*
 * postlock(1): runs a command while it holds a mailbox lock, as delivery does
 * (mailbox_delivery_lock: fcntl, flock, dotlock). Run by any user on a file of his. The exit
 * status is that of the command, or 75 when the lock cannot be had.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "proc/command.h"

enum { LOCK_FCNTL = 1, LOCK_FLOCK = 2, LOCK_DOT = 4 };

static char *dot_lock; /* the lock file that we made, or NULL */

NORETURN static void usage(void)
{
	command_fatal(EX_TEMPFAIL,
		      "usage: postlock [-c config_dir] [-l lock_style] [-v] folder command...");
}

static unsigned parse_styles(const char *text)
{
	static const struct {
		const char *name;
		unsigned bit;
	} rows[] = { { "fcntl", LOCK_FCNTL }, { "flock", LOCK_FLOCK }, { "dotlock", LOCK_DOT } };
	struct span rest = span_of(text), word;
	unsigned styles = 0;

	while ((word = span_word(&rest, ", \t")).n > 0) {
		unsigned bit = 0;

		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			if (span_is_nocase(word, rows[i].name))
				bit = rows[i].bit;
		if (bit == 0)
			command_fatal(EX_TEMPFAIL,
				      "unknown mailbox_delivery_lock value \"%.*s\" in \"%s\"",
				      SPAN_ARG(word), text);
		styles |= bit;
	}
	return styles;
}

/* Calls `try` until it succeeds, deliver_lock_attempts times. */
static bool keep_trying(bool (*try)(int fd, const char *path), int fd, const char *path)
{
	for (int i = 0; i < conf->deliver_lock_attempts; i++) {
		if (i > 0)
			(void)sleep((unsigned)conf->deliver_lock_delay);
		if (try(fd, path))
			return true;
		if (errno != EAGAIN && errno != EACCES && errno != EEXIST)
			return false;
	}
	return false;
}

static bool try_fcntl(int fd, const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	(void)path;
	return fcntl(fd, F_SETLK, &lock) == 0;
}

static bool try_flock(int fd, const char *path)
{
	(void)path;
	return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* A lock file whose owner died long ago does not count. */
static bool try_dot(int fd, const char *path)
{
	char *name = mem_printf("%s.lock", path);
	struct stat st;
	int lock_fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), saved = errno;

	(void)fd;
	if (lock_fd < 0 && saved == EEXIST && stat(name, &st) == 0 &&
	    clock_wall_now().us / 1000000 - st.st_mtim.tv_sec > conf->stale_lock_time &&
	    unlink(name) == 0)
		lock_fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), saved = errno;
	if (lock_fd < 0) {
		free(name);
		errno = saved;
		return false;
	}
	(void)close(lock_fd);
	dot_lock = name;
	return true;
}

static void unlock(void)
{
	if (dot_lock != NULL)
		(void)unlink(dot_lock);
}

static void lock(const char *path, unsigned styles)
{
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 && errno != EROFS)
		command_fatal(EX_TEMPFAIL, "open file %s: %s", path, strerror(errno));
	if ((styles & LOCK_DOT) != 0 && !keep_trying(try_dot, fd, path))
		command_fatal(EX_TEMPFAIL,
			      "open file %s: unable to create lock file %s.lock: %s", path, path,
			      strerror(errno));
	if (((styles & LOCK_FCNTL) != 0 && !keep_trying(try_fcntl, fd, path)) ||
	    ((styles & LOCK_FLOCK) != 0 && !keep_trying(try_flock, fd, path))) {
		int saved = errno;

		unlock();
		command_fatal(EX_TEMPFAIL, "lock %s: %s", path, strerror(saved));
	}
}

/* Its exit status; a signal that ended it counts as a temporary failure. */
static int run(char **argv)
{
	pid_t child = fork();
	int status;

	if (child < 0) {
		int saved = errno;

		unlock();
		command_fatal(EX_TEMPFAIL, "fork: %s", strerror(saved));
	}
	if (child == 0) {
		(void)execvp(argv[0], argv);
		fatal("execvp %s: %s", argv[0], strerror(errno));
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EX_TEMPFAIL;
}

int main(int argc, char **argv)
{
	const char *directory = NULL, *styles = NULL;
	int option, status;

	log_open("postlock", -1);
	while ((option = getopt(argc, argv, "+c:l:v")) != -1) {
		if (option == 'c')
			directory = optarg;
		else if (option == 'l')
			styles = optarg;
		else if (option == 'v')
			log_verbose(log_verbosity() + 1);
		else
			usage();
	}
	if (argc - optind < 2)
		usage();
	conf_load_command(directory);
	command_log();
	lock(argv[optind],
	     parse_styles(styles != NULL ? styles : conf->mailbox_delivery_lock));
	status = run(argv + optind + 1);
	unlock();
	return status;
}
