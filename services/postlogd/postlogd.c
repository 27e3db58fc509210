/* SPDX-License-Identifier: MIT */
/*
 * postlogd: writes everybody's log lines to maillog_file, to standard output (/dev/stdout), or to
 * syslog. Daemons write to a pipe that master holds, so that nothing is lost while this
 * program is exchanged; commands send datagrams to public/postlog. What comes in is other
 * programs' text: only well-formed records are taken, one line each.
 *
 * Runs as uid net, opens its file as root before. Manual: postlogd(8).
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/event.h"
#include "base/log.h"
#include "conf/conf.h"
#include "proc/service.h"
#include "services/postlogd/record.h"
#include "services/postlogd/syslog.h"

/*
 * Where more than a few lines came within a moment, that long passes until the pipe, which has room for
 * a megabyte, is read again: lines are then taken by the dozen, and those who write wake nobody.
 */
enum { PIPE_READ_BYTES = 64 * 1024, MOMENT_MS = 10, FEW_LINES = 32, DATAGRAMS_AT_ONCE = 64 };

static struct {
	int file; /* -1: syslog */
	char host[256];
	struct buf pending; /* bytes of the pipe that end in no line end yet */
	struct buf out;
	struct event_fd pipe_watch;
	struct event_timer pause;
	struct clock_mono moment_end;
	unsigned lines; /* of the pipe, in this moment */
} state = { .file = -1 };

/* maillog_file_permissions: for a file that is not there yet. */
static mode_t maillog_mode(void)
{
	const char *text = conf->maillog_file_permissions;

	return strcmp(text, "0644") == 0 ? 0644 : strcmp(text, "0640") == 0 ? 0640 : 0600;
}

static void prepare(void)
{
	if (gethostname(state.host, sizeof(state.host) - 1) < 0)
		(void)snprintf(state.host, sizeof(state.host), "localhost");
	buf_init(&state.pending, PIPE_READ_BYTES * 2);
	buf_init(&state.out, PIPE_READ_BYTES * 4);
	if (*conf->maillog_file == '\0') {
		syslog_open();
		return;
	}
	(void)umask(0);
	state.file = open(conf->maillog_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
			  maillog_mode());
	if (state.file < 0)
		fatal("maillog_file %s: %s", conf->maillog_file, strerror(errno));
}

static void write_out(void)
{
	size_t done = 0;

	if (state.file < 0)
		syslog_flush();
	while (state.file >= 0 && done < state.out.length) {
		ssize_t size = write(state.file, state.out.data + done, state.out.length - done);

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0)
			break; /* a full disk: the lines are lost, mail goes on */
		done += (size_t)size;
	}
	buf_reset(&state.out);
}

static void take_record(struct span line)
{
	struct log_record record;

	if (!log_record_parse(line, &record))
		return;
	if (state.file >= 0)
		log_record_format(&state.out, &record, state.host);
	else
		syslog_add(&record);
}

/* One read of the pipe, and the whole lines of it. False when nothing more is there now. */
static bool read_pipe(void)
{
	char *room = buf_room(&state.pending, PIPE_READ_BYTES);
	ssize_t size = read(service.log_fd, room, PIPE_READ_BYTES);
	size_t at;

	if (size <= 0)
		return false;
	buf_grew(&state.pending, (size_t)size);

	struct span rest = buf_span(&state.pending);

	while (span_chr(rest, '\n', &at)) {
		take_record(span_first(rest, at));
		rest = span_from(rest, at + 1);
		state.lines++;
	}
	/* Writers send whole lines; what is no line by now never will be one. */
	buf_consume(&state.pending, rest.n < LOG_LINE_MAX ? state.pending.length - rest.n
							  : state.pending.length);
	write_out();
	return true;
}

static void on_pause_over(struct event_timer *timer);

static void on_pipe(struct event_fd *watch, unsigned events)
{
	(void)events;
	if (clock_is_past(state.moment_end)) {
		state.moment_end = clock_in_ms(MOMENT_MS);
		state.lines = 0;
	}
	while (read_pipe())
		;
	if (state.lines > FEW_LINES) {
		event_unwatch(watch);
		event_at(&state.pause, clock_in_ms(MOMENT_MS), on_pause_over);
	}
}

static void on_pause_over(struct event_timer *timer)
{
	(void)timer;
	event_watch(&state.pipe_watch, service.log_fd, EPOLLIN, on_pipe);
}

/* What daemons said before a command did, they said in the pipe, which comes first therefore. */
static void on_datagrams(int fd)
{
	char line[LOG_LINE_MAX];

	for (int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
		ssize_t size = recv(fd, line, sizeof(line), MSG_DONTWAIT | MSG_TRUNC);

		if (size < 0)
			break;
		while (read_pipe())
			;
		if ((size_t)size <= sizeof(line))
			take_record(span_trim_right((struct span){ line, (size_t)size }));
	}
	write_out();
}

static void start(void)
{
	if (service.log_fd < 0)
		fatal("master gave no log pipe");
	event_watch(&state.pipe_watch, service.log_fd, EPOLLIN, on_pipe);
}

/* Everything that was said before is written before this generation ends. */
static void on_drain(bool has_successor)
{
	(void)has_successor;
	while (read_pipe())
		;
	event_stop();
}

static int watchdog_s(void)
{
	return conf->postlogd_watchdog_timeout;
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "postlogd",
		.kind = SERVICE_LOOP,
		.prepare = prepare,
		.start = start,
		.on_datagrams = on_datagrams,
		.on_drain = on_drain,
		.watchdog_s = watchdog_s,
	};

	return service_main(argc, argv, &program);
}
