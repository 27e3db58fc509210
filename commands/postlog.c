/* SPDX-License-Identifier: MIT */
/*
 * postlog: writes lines into the mail log, for scripts. Set-gid to the group that can reach the log
 * service's socket; its caller may be anybody, so the environment is dropped, and what he writes is
 * cut to lines of printable text under a tag that names no daemon process. Manual: postlog(1).
 *
 *     postlog [-iv] [-c config_dir] [-p priority] [-t tag] [text...]
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "proc/log_client.h"

static const struct priority {
	const char *name;
	enum log_severity severity;
} priorities[] = {
	{ "info", LOG_SEV_INFO },
	{ "warn", LOG_SEV_WARNING },
	{ "warning", LOG_SEV_WARNING },
	{ "error", LOG_SEV_ERROR },
	{ "fatal", LOG_SEV_FATAL },
	{ "panic", LOG_SEV_PANIC },
};

static struct {
	const struct priority *priority;
	char tag[64];
	bool has_terminal;
} state = { .priority = priorities };

static void clean_process(void)
{
	const char *directory = getenv("MAIL_CONFIG");
	char *kept = directory != NULL ? mem_dup_str(directory) : NULL;
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			_exit(1);
	} while (fd <= STDERR_FILENO);
	(void)close_range(STDERR_FILENO + 1, ~0u, 0);
	(void)clearenv();
	if (kept != NULL)
		(void)setenv("MAIL_CONFIG", kept, 1);
	free(kept);
}

static void set_priority(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(priorities); i++)
		if (strcasecmp(name, priorities[i].name) == 0) {
			state.priority = &priorities[i];
			return;
		}
	fatal("unknown priority: %s", log_clean_str(name));
}

static void set_tag(const char *tag)
{
	size_t length = 0;

	for (; *tag != '\0' && length < sizeof(state.tag) - 1; tag++)
		state.tag[length++] =
			ascii_is_print(*tag) && *tag != ' ' && *tag != '[' && *tag != ']' ? *tag
											  : '_';
	state.tag[length] = '\0';
}

/* Only root may write under any name; what others wrote shows that it was not a daemon. */
static void choose_tag(const char *tag)
{
	char *own = mem_printf("%s/postlog%s%s", conf->syslog_name, tag != NULL ? "/" : "",
			       tag != NULL ? tag : "");

	set_tag(tag != NULL && getuid() == 0 ? tag : own);
	free(own);
}

static void write_line(struct span line)
{
	const char *text = log_clean(span_trim_right(line));

	log_client_write(state.priority->severity, state.tag, text);
	if (state.has_terminal)
		(void)fprintf(stderr, "%s: %s%s\n", state.tag,
			      log_severity_prefix(state.priority->severity), text);
}

static void write_arguments(int argc, char **argv)
{
	struct buf line = BUF_INIT(BUF_LIMIT_DEFAULT);

	for (int i = 0; i < argc; i++)
		(void)buf_printf(&line, "%s%s", i > 0 ? " " : "", argv[i]);
	write_line(buf_span(&line));
	buf_done(&line);
}

static void write_input(void)
{
	char line[LOG_LINE_MAX];

	while (fgets(line, sizeof(line), stdin) != NULL)
		write_line(span_of(line));
}

NORETURN static void usage(void)
{
	(void)fprintf(stderr,
		      "usage: postlog [-iv] [-c config_dir] [-p priority] [-t tag] [text...]\n");
	exit(1);
}

int main(int argc, char **argv)
{
	const char *directory = NULL, *tag = NULL;
	int option;

	clean_process();
	log_open("postlog", -1);
	while ((option = getopt(argc, argv, "c:ip:t:v")) != -1)
		switch (option) {
		case 'c': directory = optarg; break;
		case 'i': break; /* the process id is always there */
		case 'p': set_priority(optarg); break;
		case 't': tag = optarg; break;
		case 'v': log_verbose(1); break;
		default: usage();
		}
	conf_load_command(directory);
	choose_tag(tag);
	state.has_terminal = isatty(STDERR_FILENO) != 0;
	if (optind < argc)
		write_arguments(argc - optind, argv + optind);
	else
		write_input();
	return 0;
}
