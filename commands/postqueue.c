/* SPDX-License-Identifier: MIT */
/*
 * postqueue(1): lists the queue (-p, -j) and asks for deliveries (-f, -i, -s). Set-gid to reach
 * the services in public/, and so run by any user: it trusts nothing of its environment, and
 * does what authorized_mailq_users and authorized_flush_users allow. When the mail system is
 * down root may list the queue directly. Exit status: 69 when it cannot be done.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "mail/date.h"
#include "mail/domain.h"
#include "proc/command.h"
#include "queue/listing.h"
#include "queue/verbs.h"
#include "table/match.h"

enum { PATIENCE_MS = 60000, REASON_COLUMN = 76, WORKERS_MAX = 4 };

NORETURN static void usage(void)
{
	command_fatal(EX_UNAVAILABLE, "usage: postqueue -f | postqueue -i queueid | postqueue -j | "
				      "postqueue -p | postqueue -s site");
}

/* Root may always; others when the list has their login name. */
static void check_user(const char *parameter, const char *list_text, const char *what)
{
	const struct passwd *entry = getpwuid(getuid());
	const char *name = entry != NULL ? entry->pw_name : "unknown";
	struct buf error = BUF_INIT(1000);
	struct match_list *list;

	if (getuid() == 0)
		return;
	list = match_open(parameter, span_of(list_text), MATCH_STRING, 0, &error);
	if (list == NULL)
		command_fatal(EX_UNAVAILABLE, "%s: %s", parameter, buf_str(&error));
	switch (match_name(list, NULL, span_of(name))) {
	case MATCH_YES:
		break;
	case MATCH_NO:
		command_fatal(EX_UNAVAILABLE, "User %s(%ld) is not allowed to %s the mail queue",
			      name, (long)getuid(), what);
	case MATCH_ERROR:
	case MATCH_PENDING:
		command_fatal(EX_UNAVAILABLE, "%s: lookup failed", parameter);
	}
	match_close(list);
	buf_done(&error);
}

/* ---- the list for people ---- */

struct listing {
	bool is_json;
	uint64_t bytes, messages;
	bool is_continued;      /* the entry before was a part of the same message */
	struct buf last_reason; /* of the recipient before */
	struct buf out;
};

static void add_heading(struct listing *l)
{
	(void)buf_printf(&l->out, "%-17s %8s %-19s %s\n", "----Queue ID-----", "--Size--",
			 "---Arrival Time----", "--Sender/Recipient------");
}

static void add_message(struct listing *l, const struct msg_showq_entry *entry)
{
	char id[40], date[DATE_SIZE], mark = ' ';

	if (span_is(entry->queue_name, "active"))
		mark = '*';
	else if (span_is(entry->queue_name, "hold"))
		mark = '!';
	else if (entry->is_expired)
		mark = '#';
	(void)snprintf(id, sizeof(id), "%.*s%c", SPAN_ARG(entry->queue_id), mark);
	(void)date_ctime((struct clock_wall){ entry->arrival_s * 1000000 }, date);
	(void)buf_printf(&l->out, "%-17s %8llu %19.19s %.*s\n", id,
			 (unsigned long long)entry->size, date, SPAN_ARG(entry->sender));
	buf_reset(&l->last_reason);
}

/* The reason stands once above the recipients that share it, at the right. */
static void add_rcpt(struct listing *l, const struct msg_showq_rcpt *rcpt)
{
	int room = REASON_COLUMN - span_int(rcpt->reason.n);

	if (rcpt->reason.n > 0 && !span_eq(rcpt->reason, buf_span(&l->last_reason)))
		(void)buf_printf(&l->out, "%*s(%.*s)\n", room > 0 ? room : 0, "",
				 SPAN_ARG(rcpt->reason));
	(void)buf_set(&l->last_reason, rcpt->reason);
	(void)buf_printf(&l->out, "%-17s %8s %-19s %.*s\n", "", "", "", SPAN_ARG(rcpt->address));
}

/* ---- the list for programs ---- */

static void add_json_string(struct buf *out, struct span text)
{
	(void)buf_char(out, '"');
	for (size_t i = 0; i < text.n;) {
		size_t length = utf8_char_length(span_from(text, i));
		char c = text.p[i];

		if (c == '"' || c == '\\')
			(void)buf_printf(out, "\\%c", c);
		else if (length == 1 && (c < ' ' || c == 0x7f))
			(void)buf_printf(out, "\\u%04X", (unsigned)(unsigned char)c);
		else if (length == 0)
			(void)buf_text(out, "?");
		else
			(void)buf_append(out, text.p + i, length);
		i += length > 0 ? length : 1;
	}
	(void)buf_char(out, '"');
}

static void add_json_member(struct buf *out, const char *name, struct span value)
{
	(void)buf_printf(out, "\"%s\": ", name);
	add_json_string(out, value);
}

static void add_json_message(struct listing *l, const struct msg_showq_entry *entry)
{
	(void)buf_char(&l->out, '{');
	add_json_member(&l->out, "queue_name", entry->queue_name);
	(void)buf_text(&l->out, ", ");
	add_json_member(&l->out, "queue_id", entry->queue_id);
	(void)buf_printf(&l->out,
			 ", \"arrival_time\": %lld, \"message_size\": %llu, "
			 "\"forced_expire\": %s, ",
			 (long long)entry->arrival_s, (unsigned long long)entry->size,
			 entry->is_expired ? "true" : "false");
	add_json_member(&l->out, "sender", entry->sender);
	(void)buf_text(&l->out, ", \"recipients\": [");
}

static void add_json_rcpt(struct listing *l, const struct msg_showq_rcpt *rcpt, bool is_first)
{
	(void)buf_text(&l->out, is_first ? "{" : ", {");
	add_json_member(&l->out, "address", rcpt->address);
	if (rcpt->reason.n > 0) {
		(void)buf_text(&l->out, ", ");
		add_json_member(&l->out, "delay_reason", rcpt->reason);
	}
	(void)buf_char(&l->out, '}');
}

/* ---- listing ---- */

static bool print_entry(void *context, const struct msg_showq_entry *entry)
{
	struct listing *l = context;
	struct span rest = entry->rcpts;
	struct msg_showq_rcpt rcpt;
	bool is_first = !l->is_continued;

	buf_reset(&l->out);
	if (!l->is_continued) {
		if (l->messages == 0 && !l->is_json)
			add_heading(l);
		l->messages++;
		l->bytes += entry->size;
		if (l->is_json)
			add_json_message(l, entry);
		else
			add_message(l, entry);
	}
	while (rest.n > 0 && msg_showq_rcpt_decode(&rest, &rcpt)) {
		if (l->is_json)
			add_json_rcpt(l, &rcpt, is_first);
		else
			add_rcpt(l, &rcpt);
		is_first = false;
	}
	l->is_continued = entry->more;
	if (!entry->more)
		(void)buf_text(&l->out, l->is_json ? "]}\n" : "\n");
	return fwrite(buf_str(&l->out), 1, l->out.length, stdout) == l->out.length;
}

/* True at the end of the list. */
static bool print_part(struct listing *l, struct span entries)
{
	struct msg_showq_entry entry;

	while (entries.n > 0 && msg_showq_entry_decode(&entries, &entry)) {
		if (entry.queue_id.n == 0)
			return true;
		if (!print_entry(l, &entry))
			command_fatal(EX_UNAVAILABLE, "write: %s", strerror(errno));
	}
	return false;
}

/* One that has something to say; `wanted`, in the middle of whose message the list is, or any (-1). */
static size_t next_of(const struct ipc_channel *workers, size_t count, int wanted)
{
	struct clock_mono deadline = clock_in_ms((int64_t)conf->ipc_timeout * 1000);
	struct pollfd polls[WORKERS_MAX];

	for (;;) {
		for (size_t i = 0; i < count; i++)
			polls[i] = (struct pollfd){
				.fd = wanted < 0 || wanted == (int)i ? workers[i].fd : -1,
				.events = POLLIN,
			};
		if (poll(polls, count, clock_poll_ms(deadline)) == 0)
			command_fatal(EX_UNAVAILABLE, "the %s %s service does not answer",
				      conf->mail_name, conf->showq_service_name);
		for (size_t i = 0; i < count; i++)
			if (polls[i].fd >= 0 && polls[i].revents != 0)
				return i;
	}
}

/*
 * Some workers list together, a share each: what takes time is to open so many files. As many as
 * could be called.
 */
static void list_from_service(int fd, struct listing *l)
{
	struct clock_mono deadline = clock_in_ms(PATIENCE_MS);
	struct ipc_channel workers[WORKERS_MAX];
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t count = 0, open_count;
	struct msg_showq_list part;
	int wanted = -1;

	do {
		ipc_attach(&workers[count++], fd);
	} while (count < WORKERS_MAX && (long)count < cpus &&
		 (fd = command_connect(conf->showq_service_name, deadline)) >= 0);
	for (size_t i = 0; i < count; i++) {
		struct msg_showq_query query = { .share = (uint32_t)i, .shares = (uint32_t)count };

		(void)!IPC_SEND(&workers[i], showq_query, &query, -1, deadline);
	}
	for (open_count = count; open_count > 0;) {
		size_t i = next_of(workers, count, wanted);

		if (IPC_EXPECT(&workers[i], showq_list, &part, CLOCK_NEVER) != IPC_OK)
			command_fatal(EX_UNAVAILABLE, "the %s %s service ended in the middle of the list",
				      conf->mail_name, conf->showq_service_name);
		if (print_part(l, part.entries)) {
			ipc_close(&workers[i]);
			open_count--;
		}
		wanted = l->is_continued ? (int)i : -1;
	}
}

static void list_directly(struct listing *l, int error)
{
	struct queue_dirs dirs;

	if (!queue_dirs_open(&dirs, conf->queue_directory))
		command_fatal(EX_UNAVAILABLE,
			      "Queue report unavailable - mail system is down (Connect to the %s %s "
			      "service: %s)",
			      conf->mail_name, conf->showq_service_name, strerror(error));
	log_warn("Mail system is down -- accessing queue directly (Connect to the %s %s service: %s)",
		 conf->mail_name, conf->showq_service_name, strerror(error));
	(void)queue_list(&dirs, NULL, (struct queue_share){ 0, 1 }, print_entry, l);
	queue_dirs_close(&dirs);
}

static void list_queue(bool is_json)
{
	struct listing l = { .is_json = is_json, .out = BUF_INIT(1024 * 1024),
			     .last_reason = BUF_INIT(8192) };
	int fd;

	check_user("authorized_mailq_users", conf->authorized_mailq_users, "view");
	fd = command_connect(conf->showq_service_name, clock_in_ms(PATIENCE_MS));
	if (fd >= 0)
		list_from_service(fd, &l);
	else
		list_directly(&l, errno);
	if (!is_json && l.messages == 0)
		(void)printf("Mail queue is empty\n");
	else if (!is_json)
		(void)printf("-- %llu Kbytes in %llu Request%s.\n",
			     (unsigned long long)l.bytes / 1024, (unsigned long long)l.messages,
			     l.messages == 1 ? "" : "s");
	if (fflush(stdout) != 0)
		command_fatal(EX_UNAVAILABLE, "write: %s", strerror(errno));
	buf_done(&l.out);
	buf_done(&l.last_reason);
}

/* ---- flushing ---- */

/* Asks; a mail system that is down ends the program. */
static enum queue_result ask(const char *service_name, const struct msg_queue_command *command)
{
	struct clock_mono deadline = clock_in_ms(PATIENCE_MS);
	int fd = command_connect(service_name, deadline);
	struct msg_queue_answer answer;
	struct ipc_channel channel;

	if (fd < 0)
		command_fatal(EX_UNAVAILABLE, "Cannot flush mail queue - mail system is down");
	ipc_attach(&channel, fd);
	if (!command_ask(&channel, command, &answer, deadline))
		command_fatal(EX_UNAVAILABLE, "the %s service does not answer", service_name);
	ipc_close(&channel);
	return (enum queue_result)answer.result;
}

static void flush_queue(void)
{
	struct msg_queue_command command = { .verb = QUEUE_FLUSH_ALL };

	check_user("authorized_flush_users", conf->authorized_flush_users, "flush");
	(void)ask(conf->queue_service_name, &command);
}

static void flush_message(const char *id)
{
	struct msg_queue_command command = { .verb = QUEUE_FLUSH_ONE, .queue_id = span_of(id) };

	check_user("authorized_flush_users", conf->authorized_flush_users, "flush");
	if (!queue_id_is_valid(span_of(id)))
		command_fatal(EX_UNAVAILABLE, "Cannot flush mail queue - invalid queue ID syntax: "
					      "\"%s\"",
			      log_clean_str(id));
	(void)ask(conf->queue_service_name, &command);
}

static void flush_site(const char *site)
{
	struct msg_queue_command command = { .verb = QUEUE_FLUSH_SITE, .site = span_of(site) };

	check_user("authorized_flush_users", conf->authorized_flush_users, "flush");
	if (domain_check(span_of(site), true) != DOMAIN_OK)
		command_fatal(EX_UNAVAILABLE, "Cannot flush mail queue - invalid destination: "
					      "\"%.100s\"",
			      log_clean_str(site));
	if (ask(conf->flush_service_name, &command) != QUEUE_DONE)
		command_fatal(EX_UNAVAILABLE,
			      "Flush service is not configured for destination \"%s\"",
			      log_clean_str(site));
}

/* Descriptors 0 to 2 are open from here on, so that no other file takes their place. */
static void open_standard_files(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
}

int main(int argc, char **argv)
{
	const char *directory = NULL, *argument = NULL;
	char mode = '\0';
	int option;

	open_standard_files();
	command_clean_environment();
	log_open("postqueue", -1);
	while ((option = getopt(argc, argv, "c:fi:jps:v")) != -1) {
		switch (option) {
		case 'c':
			directory = optarg;
			break;
		case 'v':
			log_verbose(log_verbosity() + 1);
			break;
		case 'f':
		case 'i':
		case 'j':
		case 'p':
		case 's':
			if (mode != '\0')
				usage();
			mode = (char)option;
			argument = optarg;
			break;
		default:
			usage();
		}
	}
	if (mode == '\0' || optind < argc)
		usage();
	conf_load_command(directory);
	command_log();
	switch (mode) {
	case 'f':
		flush_queue();
		break;
	case 'i':
		flush_message(argument);
		break;
	case 's':
		flush_site(argument);
		break;
	default:
		list_queue(mode == 'j');
	}
	return 0;
}
