/* SPDX-License-Identifier: MIT */
/*
 * postdrop: puts a message of a local user into maildrop. Run by sendmail, set-gid to the group
 * that may write there; its caller may be anybody, with any environment, descriptors, limits and
 * signals, and what comes in on standard input is his. What it writes down of him is what the
 * kernel says: the file belongs to him. Manual: postdrop(1).
 *
 *     postdrop [-rv] [-c config_dir] <records of queue/maildrop.h
 *
 * Works without a running mail system. Exit status: sysexits.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "mail/addr.h"
#include "proc/command.h"
#include "proc/command.h"
#include "queue/envelope.h"
#include "queue/id.h"
#include "queue/maildrop.h"
#include "table/maps.h"
#include "table/match.h"

enum { PATIENCE_S = 3600, KICK_MS = 1000, TABLE_ERROR_BYTES = 500 };

/* What a user may ask for; pickup looks at it once more. */
enum {
	USER_FLAGS = ENVELOPE_SMTPUTF8 | ENVELOPE_REQUIRETLS | ENVELOPE_VERIFY_ONLY |
		     ENVELOPE_VERBOSE | ENVELOPE_VERP,
};

static struct {
	char login[128];
	int dir;
	char name[64];                  /* of the temporary file */
	volatile sig_atomic_t has_file; /* it is there */
} state = { .dir = -1 };

/* ---- ending ---- */

NORETURN static void give_up(int status)
{
	if (state.has_file)
		(void)unlinkat(state.dir, state.name, 0);
	exit(status);
}

NORETURN static void end(int status, const char *format, ...) PRINTF_LIKE(2, 3);

NORETURN static void end(int status, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_error("%s(%lu): %s", state.login, (unsigned long)getuid(), text);
	give_up(status);
}

/* The name is set before the handlers are, and never changes: safe at any moment. */
static void on_signal(int signal)
{
	(void)signal;
	if (state.has_file)
		(void)unlinkat(state.dir, state.name, 0);
	_exit(EX_TEMPFAIL);
}

static void on_fatal(void)
{
	if (state.has_file)
		(void)unlinkat(state.dir, state.name, 0);
	_exit(EX_TEMPFAIL);
}

/* ---- the caller's leftovers ---- */

static void clean_descriptors(void)
{
	int fd;

	/* A file that is opened as 0, 1 or 2 would get what is printed or be read as input. */
	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			_exit(EX_OSERR);
	} while (fd <= STDERR_FILENO);
	(void)close(fd);
	if (close_range(STDERR_FILENO + 1, ~0u, 0) < 0)
		_exit(EX_OSERR);
}

static void clean_limits(void)
{
	static const int kinds[] = { RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_CPU };
	struct rlimit limit;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (getrlimit((__rlimit_resource_t)kinds[i], &limit) < 0)
			continue;
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit((__rlimit_resource_t)kinds[i], &limit);
	}
}

static void clean_signals(void)
{
	static const int ignored[] = { SIGPIPE, SIGXFSZ, SIGTSTP, SIGTTIN, SIGTTOU };
	sigset_t none;

	for (int signal = 1; signal < NSIG; signal++)
		(void)sigaction(signal, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)sigaction(ignored[i], &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Keeps what says where the configuration is; conf_load_command() checks if it may be there. */
static void clean_environment(void)
{
	const char *directory = getenv("MAIL_CONFIG");
	char *kept = directory != NULL ? mem_dup_str(directory) : NULL;

	(void)clearenv();
	(void)setenv("PATH", "/usr/bin:/bin", 1);
	if (kept != NULL)
		(void)setenv("MAIL_CONFIG", kept, 1);
	free(kept);
}

static void clean_process(void)
{
	clean_descriptors();
	clean_signals();
	clean_limits();
	clean_environment();
	(void)umask(022);
	(void)alarm(PATIENCE_S);
}

/* ---- who may submit ---- */

static void find_login(void)
{
	const struct passwd *entry = getpwuid(getuid());

	if (entry != NULL)
		(void)snprintf(state.login, sizeof(state.login), "%s", entry->pw_name);
	else
		(void)snprintf(state.login, sizeof(state.login), "uid:%lu",
			       (unsigned long)getuid());
}

static void check_user(void)
{
	struct buf error = BUF_INIT(TABLE_ERROR_BYTES);
	struct match_list *list =
		match_open("authorized_submit_users", span_of(conf->authorized_submit_users),
			   MATCH_STRING, 0, &error);

	if (list == NULL)
		end(EX_TEMPFAIL, "authorized_submit_users: %s", buf_str(&error));
	switch (match_name(list, NULL, span_of(state.login))) {
	case MATCH_YES: break;
	case MATCH_NO: end(EX_NOPERM, "User %s is not allowed to submit mail", state.login);
	case MATCH_ERROR:
	case MATCH_PENDING: end(EX_TEMPFAIL, "authorized_submit_users: lookup failed");
	}
	match_close(list);
	buf_done(&error);
}

/* "*", "@domain", "user@domain", or the key that stands for the null sender. */
static bool sender_fits(struct span pattern, struct span sender)
{
	struct addr parts = addr_split(sender);

	if (sender.n == 0)
		return span_is(pattern, "*") ||
		       span_is(pattern, conf->empty_address_local_login_sender_maps_lookup_key);
	if (pattern.n > 1 && pattern.p[0] == '@')
		return parts.has_domain && span_eq_nocase(span_from(pattern, 1), parts.domain);
	return span_is(pattern, "*") || span_eq_nocase(pattern, sender);
}

/* local_login_sender_maps: which senders a login name may have. */
static void check_sender(struct span sender)
{
	struct buf error = BUF_INIT(TABLE_ERROR_BYTES);
	struct maps *maps = maps_open("local_login_sender_maps",
				      span_of(conf->local_login_sender_maps), TABLE_FOLD, &error);
	struct span patterns, pattern;
	bool is_good = false;

	if (maps == NULL)
		end(EX_TEMPFAIL, "local_login_sender_maps: %s", buf_str(&error));
	switch (maps_find(maps, NULL, span_of(state.login), false, &patterns)) {
	case TABLE_FOUND:
		while (!is_good && (pattern = span_word(&patterns, ", \t\r\n")).n > 0)
			is_good = sender_fits(pattern, sender);
		break;
	case TABLE_NOT_FOUND: break;
	case TABLE_ERROR:
	case TABLE_PENDING: end(EX_TEMPFAIL, "local_login_sender_maps: lookup failed");
	}
	if (!is_good)
		end(EX_NOPERM, "User %s is not allowed to send mail as <%s>", state.login,
		    log_clean(sender));
	maps_close(maps);
	buf_done(&error);
}

/* ---- the message ---- */

/* A text of the envelope: one line, without anything that some reader might stop at. */
static struct span checked(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
			end(EX_DATAERR, "control character in an address or parameter");
	return text;
}

static void write_record(struct maildrop_writer *writer, const struct ipc_desc *desc,
			 const void *message)
{
	struct buf record = BUF_INIT(IPC_RECORD_MAX);

	if (!ipc_encode(&record, desc, message))
		end(EX_DATAERR, "oversized record");
	maildrop_write(writer, buf_span(&record));
	buf_done(&record);
}

/* Only what a user may say; who he is is not his to say. */
static void write_envelope(struct maildrop_writer *writer, const struct msg_envelope *said)
{
	struct msg_envelope envelope = {
		.sender = checked(said->sender),
		.rewrite_context = SPAN("local"),
		.flags = (said->flags & USER_FLAGS) | ENVELOPE_LOCAL_USER,
		.ret = said->ret,
		.envid = checked(said->envid),
		.body_type = checked(said->body_type),
		.verp_delims = checked(said->verp_delims),
		.create_us = clock_wall_now().us,
		.login_uid = (uint32_t)getuid(),
		.login_name = span_of(state.login),
		.full_name = checked(said->full_name),
	};

	/* A probe of verify(8), or what else only daemons say. */
	if ((said->flags & ~(unsigned)(USER_FLAGS | ENVELOPE_LOCAL_USER)) != 0)
		end(EX_DATAERR, "envelope flags %#x are not for users", said->flags);
	check_sender(envelope.sender);
	write_record(writer, msg_envelope_desc(), &envelope);
}

static void write_rcpt(struct maildrop_writer *writer, const struct msg_rcpt *said)
{
	struct msg_rcpt rcpt = { .address = checked(said->address),
				 .orcpt = checked(said->orcpt),
				 .notify = said->notify };

	if (rcpt.address.n == 0)
		end(EX_DATAERR, "empty recipient");
	write_record(writer, msg_rcpt_desc(), &rcpt);
}

static void check_size(const struct maildrop_writer *writer)
{
	if (writer->error == EDQUOT || writer->error == ENOSPC)
		end(EX_TEMPFAIL, "no space in the queue: %s", strerror(writer->error));
	if (conf->message_size_limit > 0 && writer->size > (uint64_t)conf->message_size_limit)
		end(EX_UNAVAILABLE, "message file too big");
}

/* Everything from standard input into the file. */
static void copy_message(int fd)
{
	struct maildrop_writer writer;
	struct maildrop_reader reader;
	enum maildrop_item item;
	size_t rcpts = 0;
	int error;

	maildrop_write_start(&writer, fd);
	maildrop_read_start(&reader, STDIN_FILENO, false);
	while ((item = maildrop_next(&reader)) <= MAILDROP_DATA) {
		if (item == MAILDROP_ENVELOPE) {
			write_envelope(&writer, &reader.envelope);
		} else if (item == MAILDROP_RCPT) {
			write_rcpt(&writer, &reader.rcpt);
			rcpts++;
		} else {
			write_record(&writer, msg_submit_data_desc(), &reader.data);
		}
		check_size(&writer);
	}
	if (item == MAILDROP_IO_ERROR)
		end(EX_IOERR, "read: %s", strerror(errno));
	/* sendmail gave up, and has said why. */
	if (item == MAILDROP_DAMAGED && reader.is_cut)
		give_up(EX_DATAERR);
	if (item == MAILDROP_DAMAGED)
		end(EX_DATAERR, "uncompleted or malformed message");
	if (rcpts == 0)
		end(EX_DATAERR, "no recipients specified");
	maildrop_read_end(&reader);
	error = maildrop_write_end(&writer);
	if (error != 0)
		end(EX_TEMPFAIL, "write queue file: %s", strerror(error));
}

static void handle_signals(void)
{
	static const int signals[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2
	};

	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		(void)sigaction(signals[i], &(struct sigaction){ .sa_handler = on_signal }, NULL);
}

static int create_file(void)
{
	sigset_t all, none;
	int fd;

	(void)snprintf(state.name, sizeof(state.name), "tmp.%ld.%lld", (long)getpid(),
		       (long long)clock_wall_now().us);
	handle_signals();
	/* So that none comes between the file and the note that there is one. */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &none);
	fd = openat(state.dir, state.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    MAILDROP_MODE);
	if (fd < 0)
		end(EX_TEMPFAIL, "create maildrop/%s: %s", state.name, strerror(errno));
	state.has_file = 1;
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* For pickup, which removes what nobody has locked: a postdrop that was killed left it. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		end(EX_TEMPFAIL, "lock maildrop/%s: %s", state.name, strerror(errno));
	return fd;
}

/* Gives the file its name; false when there is one by that name. */
static bool rename_file(const char *name)
{
	if (renameat2(state.dir, state.name, state.dir, name, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EEXIST)
		end(EX_TEMPFAIL, "rename maildrop/%s: %s", state.name, strerror(errno));
	return false;
}

static bool has_limit(void)
{
	const struct passwd *owner;

	if (conf->maildrop_user_message_limit == 0 || getuid() == 0)
		return false;
	owner = getpwnam(conf->mail_owner);
	return owner == NULL || owner->pw_uid != getuid();
}

/*
 * Nobody but pickup may list the directory, so the names themselves keep count: a user has as many
 * as he may have messages waiting, and one that is free is looked for from a random place on.
 */
static void take_user_name(char name[QUEUE_ID_MAX])
{
	unsigned limit = (unsigned)conf->maildrop_user_message_limit;
	unsigned start = (unsigned)(clock_wall_now().us % limit);

	for (unsigned i = 0; i < limit; i++) {
		(void)snprintf(name, QUEUE_ID_MAX, "U%08lXN%06X", (unsigned long)getuid(),
			       (start + i) % limit);
		if (rename_file(name))
			return;
	}
	end(EX_TEMPFAIL, "%u messages of this user wait already (maildrop_user_message_limit)", limit);
}

static void take_name(char name[QUEUE_ID_MAX])
{
	do
		queue_id_make(name, conf->enable_long_queue_ids, clock_wall_now(),
			      (unsigned)getpid());
	while (!rename_file(name));
}

/* Puts the file in place, for good: it survives a power cut from here on. */
static void commit_file(int fd)
{
	char id[QUEUE_ID_MAX];

	if (fsync(fd) < 0)
		end(EX_TEMPFAIL, "fsync: %s", strerror(errno));
	if (has_limit())
		take_user_name(id);
	else
		take_name(id);
	state.has_file = 0;
	/*
	 * The group may write to the directory but not read it, so it cannot be opened to be
	 * flushed; the file's own journal entry, which the rename has changed, brings the name
	 * along.
	 */
	if (fsync(fd) < 0) {
		(void)unlinkat(state.dir, id, 0);
		end(EX_TEMPFAIL, "fsync: %s", strerror(errno));
	}
	(void)close(fd);
}

/* Wakes pickup; when it is not there, it will look by itself. */
static void kick_pickup(void)
{
	char *path = mem_printf("public/%s", conf->pickup_service_name);
	int fd = command_connect_at(path, clock_in_ms(KICK_MS));

	free(path);
	if (fd >= 0)
		(void)close(fd);
}

NORETURN static void usage(void)
{
	(void)fprintf(stderr, "usage: postdrop [-c config_dir] [-rv]\n");
	exit(EX_USAGE);
}

int main(int argc, char **argv)
{
	const char *directory = NULL;
	int option, fd;

	clean_process();
	find_login();
	log_open("postdrop", -1);
	log_on_fatal(on_fatal);
	while ((option = getopt(argc, argv, "c:rv")) != -1)
		switch (option) {
		case 'c': directory = optarg; break;
		case 'r': break;
		case 'v': log_verbose(1); break;
		default: usage();
		}
	if (optind < argc)
		usage();
	conf_load_command(directory);
	check_user();
	if (chdir(conf->queue_directory) < 0)
		end(EX_CONFIG, "chdir %s: %s", conf->queue_directory, strerror(errno));
	state.dir = open("maildrop", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (state.dir < 0)
		end(EX_TEMPFAIL, "open maildrop: %s", strerror(errno));
	fd = create_file();
	copy_message(fd);
	commit_file(fd);
	kick_pickup();
	return 0;
}
