/* SPDX-License-Identifier: MIT */
/*
 * flush(8): knows which deferred messages wait for a site, for the sites in fast_flush_domains,
 * so that ETRN and postqueue -s need not go through the whole queue. One process with an event
 * loop, as the queue's owner in the queue directory. It is told by qmgr what is deferred, and
 * asks qmgr to try what a site calls for.
 *
 * A site's log is a file in flush/ with queue ids, a line each. It may name messages that are
 * long gone, which costs nothing but a question; it is only a shortcut, and may be deleted.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/event.h"
#include "base/fd.h"
#include "base/htab.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/words.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "ipc/table_client.h"
#include "proc/service.h"
#include "queue/dirs.h"
#include "queue/verbs.h"
#include "table/match.h"

enum { SITE_NAME_MAX = 200, SITE_LOG_MAX = 16 * 1024 * 1024, QMGR_PATIENCE_MS = 10000 };

struct client {
	struct ipc_channel channel;
	struct event_fd watch;
};

static struct queue_dirs dirs;
static struct match_list *domains;
static struct event_timer refresh_timer;

/* ---- site logs ---- */

/*
 * A file name for a site: letters, digits and "-" as they are, "." as "_", the rest as "=XX".
 * Sites are told apart without case. False when it is too long or empty.
 */
static bool file_of(struct span site, char name[SITE_NAME_MAX])
{
	size_t at = 0;

	for (size_t i = 0; i < site.n; i++) {
		char c = ascii_lower(site.p[i]);

		if (at + 4 >= SITE_NAME_MAX)
			return false;
		if (ascii_is_alnum(c) || c == '-')
			name[at++] = c;
		else if (c == '.')
			name[at++] = '_';
		else
			at += (size_t)snprintf(name + at, SITE_NAME_MAX - at, "=%02X",
					       (unsigned)(unsigned char)c);
	}
	name[at] = '\0';
	return at > 0;
}

static bool is_eligible(struct span site)
{
	return match_name(domains, NULL, site) == MATCH_YES;
}

static enum queue_result add(struct span site, struct span id)
{
	char name[SITE_NAME_MAX], line[QUEUE_ID_MAX + 1];
	int size, fd;

	if (!queue_id_is_valid(id) || !is_eligible(site) || !file_of(site, name))
		return QUEUE_UNKNOWN;
	size = snprintf(line, sizeof(line), "%.*s\n", SPAN_ARG(id));
	fd = openat(dirs.fds[QUEUE_FLUSH], name,
		    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, line, (size_t)size) != size)
		log_warn("append to flush/%s: %s", name, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return QUEUE_DONE;
}

/* Takes the log away: what it names is tried now, and logged again if it must wait again. */
static bool take_log(const char *name, struct buf *ret)
{
	int fd = openat(dirs.fds[QUEUE_FLUSH], name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return false;
	(void)unlinkat(dirs.fds[QUEUE_FLUSH], name, 0);
	(void)!buf_read(ret, fd);
	(void)close(fd);
	return true;
}

/* Asks qmgr for each message once. */
static void flush_log(struct span log)
{
	struct clock_mono deadline = clock_in_ms(QMGR_PATIENCE_MS);
	struct htab seen = { .count = 0 };
	struct ipc_channel channel;
	struct span id;
	int fd = service_connect(conf->queue_service_name, deadline);

	if (fd < 0) {
		log_warn("connect to the queue manager: %s", strerror(errno));
		return;
	}
	ipc_attach(&channel, fd);
	while (span_line(&log, &id)) {
		struct msg_queue_command command = { .verb = QUEUE_FLUSH_ONE, .queue_id = id };
		struct msg_queue_answer answer;

		if (!queue_id_is_valid(id) || htab_put(&seen, id, &seen) != NULL)
			continue;
		if (IPC_SEND(&channel, queue_command, &command, -1, deadline) != IPC_OK ||
		    IPC_EXPECT(&channel, queue_answer, &answer, deadline) != IPC_OK) {
			log_warn("the queue manager does not answer");
			break;
		}
	}
	ipc_close(&channel);
	htab_done(&seen, NULL);
}

static void flush_file(const char *name)
{
	struct buf log = BUF_INIT(SITE_LOG_MAX);

	if (take_log(name, &log))
		flush_log(buf_span(&log));
	buf_done(&log);
}

static enum queue_result flush_site(struct span site)
{
	char name[SITE_NAME_MAX];

	if (!is_eligible(site) || !file_of(site, name))
		return QUEUE_UNKNOWN;
	flush_file(name);
	return QUEUE_DONE;
}

/* Logs that nobody asked for in a long time name mail that may have gone: tried and forgotten. */
static void refresh(int older_than_s)
{
	int64_t now = clock_wall_now().us / 1000000;
	DIR *stream = fd_open_dir(dirs.fds[QUEUE_FLUSH], ".");
	struct dirent *entry;
	struct stat st;

	while (stream != NULL && (entry = readdir(stream)) != NULL)
		if (entry->d_name[0] != '.' &&
		    fstatat(dirs.fds[QUEUE_FLUSH], entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && now - st.st_mtim.tv_sec >= older_than_s)
			flush_file(entry->d_name);
	if (stream != NULL)
		(void)closedir(stream);
}

static void on_refresh_time(struct event_timer *timer)
{
	refresh(conf->fast_flush_refresh_time);
	event_at(timer, clock_in_ms((int64_t)conf->fast_flush_refresh_time * 1000),
		 on_refresh_time);
}

/* ---- clients ---- */

static void client_close(struct client *client)
{
	event_unwatch(&client->watch);
	ipc_close(&client->channel);
	free(client);
}

/* qmgr's additions are answered as well: it asks one thing at a time. */
static enum queue_result handle(const struct msg_queue_command *command)
{
	switch (command->verb) {
	case QUEUE_SITE_ADD:
		return add(command->site, command->queue_id);
	case QUEUE_FLUSH_SITE:
		return flush_site(command->site);
	case QUEUE_SITE_REFRESH:
		refresh(0);
		return QUEUE_DONE;
	}
	return QUEUE_UNKNOWN;
}

static void on_readable(struct event_fd *watch, unsigned events)
{
	struct client *client = CONTAINER_OF(watch, struct client, watch);
	struct msg_queue_answer answer = { .result = QUEUE_UNKNOWN };
	struct msg_queue_command command;
	enum ipc_status status = IPC_EXPECT(&client->channel, queue_command, &command,
					    clock_in_ms(0));

	(void)events;
	if (status == IPC_TIMEOUT)
		return;
	if (status == IPC_OK) {
		answer.result = handle(&command);
		status = IPC_SEND(&client->channel, queue_answer, &answer, -1, clock_in_ms(0));
	}
	if (status != IPC_OK)
		client_close(client);
}

static void on_connection(int fd, const char *name)
{
	struct client *client = NEW(struct client);

	(void)name;
	ipc_attach(&client->channel, fd);
	event_watch(&client->watch, fd, EPOLLIN, on_readable);
}

/* ---- life ---- */

static void prepare(void)
{
	struct buf error = BUF_INIT(1000);
	unsigned flags = TABLE_FOLD | TABLE_IN_JAIL;

	table_client_setup();
	if (words_have(span_of(conf->parent_domain_matches_subdomains),
		       SPAN("fast_flush_domains")))
		flags |= MATCH_PARENTS;
	domains = match_open("fast_flush_domains", span_of(conf->fast_flush_domains), MATCH_DOMAIN,
			     flags, &error);
	if (domains == NULL)
		fatal("%s", buf_str(&error));
	buf_done(&error);
}

static void start(void)
{
	service_open_queue(&dirs);
	event_at(&refresh_timer, clock_in_ms((int64_t)conf->fast_flush_refresh_time * 1000),
		 on_refresh_time);
}

int main(int argc, char **argv)
{
	static const struct service_program program = {
		.name = "flush",
		.kind = SERVICE_LOOP,
		.prepare = prepare,
		.start = start,
		.on_connection = on_connection,
	};

	return service_main(argc, argv, &program);
}
