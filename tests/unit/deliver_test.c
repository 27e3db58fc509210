/* SPDX-License-Identifier: MIT */
/* lib/deliver: times, destinations, mailbox text, $name, mailbox files, Maildirs, commands. */

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "deliver/act.h"
#include "deliver/delays.h"
#include "deliver/destination.h"
#include "deliver/environment.h"
#include "deliver/expand.h"
#include "deliver/prefix.h"
#include "test.h"

static void test_delays(void)
{
	static const struct {
		int64_t us;
		int digits;
		const char *want;
	} rows[] = {
		{ 0, 2, "0" },           { 4900, 2, "0" },        { 5000, 2, "0.01" },
		{ 50000, 2, "0.05" },    { 100000, 2, "0.1" },    { 123456, 2, "0.12" },
		{ 123456, 6, "0.12" },   { 12345, 6, "0.012" },   { 999999, 2, "1" },
		{ 1240000, 2, "1.2" },   { 9960000, 2, "10" },    { 12700000, 2, "13" },
		{ 86400000000, 2, "86400" }, { 1500000, 0, "2" }, { -5, 2, "0" },
		{ 7, 6, "0.000007" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(64);

		delay_format(&out, rows[i].us, rows[i].digits);
		CHECK_STR(buf_str(&out), rows[i].want);
		buf_done(&out);
	}
}

static void test_destinations(void)
{
	static const struct {
		const char *text;
		bool is_file;
		const char *want; /* a letter for the kind, then the text */
	} rows[] = {
		{ "alice, bob", false, "A:alice A:bob " },
		{ "alice bob@x.test", false, "A:alice A:bob@x.test " },
		{ "\"|cat > /x; id -un\"", false, "C:cat > /x; id -un " },
		{ "|cat", false, "C:cat " },
		{ "/var/mail/x, \"/var/my box/\"", false, "F:/var/mail/x F:/var/my box/ " },
		{ ":include:/etc/list, bob", false, "I:/etc/list A:bob " },
		{ "\\alice, bob", false, "M:alice A:bob " },
		{ "\"\\\\alice\"", false, "M:alice " },
		{ "Full Name <joe@x.test>, (comment) bob", false, "A:joe@x.test A:bob " },
		{ "# one\nalice\n  # two\n\n bob@x.test,\n", true, "A:alice A:bob@x.test " },
		{ "", false, "" },
		{ " , ,\"\", |", false, "" },
		{ "\"unclosed", false, "A:unclosed " },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(1024);
		struct destination_reader reader;
		struct destination one;

		destination_start(&reader, span_of(rows[i].text), rows[i].is_file);
		while (destination_next(&reader, &one))
			(void)buf_printf(&out, "%c:%.*s ", "AMCFI"[one.kind], SPAN_ARG(one.text));
		destination_done(&reader);
		CHECK_STR(buf_str(&out), rows[i].want);
		buf_done(&out);
	}
}

static void convert(const char *text, size_t step, unsigned flags, const char *eol, struct buf *out)
{
	struct message_format format = { .flags = flags, .eol = span_of(eol) };
	struct message_lines lines = { .format = &format, .out = out };
	struct span rest = span_of(text);

	while (rest.n > 0) {
		message_lines_add(&lines, span_first(rest, step));
		rest = span_from(rest, step);
	}
	message_lines_end(&lines);
}

static void test_lines(void)
{
	enum { FROM = MESSAGE_QUOTE_FROM, DOT = MESSAGE_QUOTE_DOT };
	static const struct {
		const char *text;
		unsigned flags;
		const char *eol, *want;
	} rows[] = {
		{ "a\r\nb\r\n", 0, "", "a\nb\n" },
		{ "From a\r\n>From b\r\nFro\r\nFrom\r\nxFrom c\r\n", FROM, "",
		  ">From a\n>From b\nFro\nFrom\nxFrom c\n" },
		{ "From a\r\n.b\r\n..c\r\n", 0, "", "From a\n.b\n..c\n" },
		{ ".b\r\n\r\n..c\r\nx.\r\n", DOT, "", "..b\n\n...c\nx.\n" },
		{ ".From\r\nFrom x", FROM | DOT, "\r\n", "..From\r\n>From x\r\n" },
		{ "a\rb\r\r\nc\r", 0, "", "a\rb\r\nc\r\n" },
		{ "no end", 0, "", "no end\n" },
		{ "From", FROM, "", "From\n" },
		{ "", 0, "", "" },
		{ "\r\n\n", 0, "", "\n\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t step = 1; step <= 9; step++) {
			struct buf out = BUF_INIT(1024);

			convert(rows[i].text, step, rows[i].flags, rows[i].eol, &out);
			CHECK_STR(buf_str(&out), rows[i].want);
			buf_done(&out);
		}
}

static bool value_of(void *context, struct span name, struct span *ret)
{
	(void)context;
	if (span_is(name, "user"))
		*ret = SPAN("al;ce");
	else if (span_is(name, "extension"))
		*ret = SPAN("");
	else
		return false;
	return true;
}

static void test_expand(void)
{
	static const struct {
		const char *text, *want;
		bool has_undefined;
	} rows[] = {
		{ "/x/$user/y", "/x/al_ce/y", false },
		{ "${user}$(user)", "al_ceal_ce", false },
		{ "$$user", "$user", false },
		{ "a$extension", "a", true },
		{ "a$nothing", "a", true },
		{ "a${extension?+$extension}", "a", false },
		{ "a${extension:none}", "anone", false },
		{ "${user?{yes}:{no}}${extension?{yes}:{no}}", "yesno", false },
		{ "${extension?x}${user?<$user>}", "<al_ce>", false },
		{ "$", NULL, false },
		{ "${user", NULL, false },
		{ "${user!x}", NULL, false },
		{ "${}", NULL, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out = BUF_INIT(256);
		bool has_undefined;
		bool is_good = expand_text(&out, span_of(rows[i].text), "abcdefghijklmnopqrstuvwxyz",
					   value_of, NULL, &has_undefined);

		CHECK_INT(is_good, rows[i].want != NULL);
		if (is_good && rows[i].want != NULL) {
			CHECK_STR(buf_str(&out), rows[i].want);
			CHECK_INT(has_undefined, rows[i].has_undefined);
		}
		buf_done(&out);
	}
}

static void test_prefix(void)
{
	struct buf out = BUF_INIT(1024);

	prefix_return_path(&out, SPAN(""));
	prefix_original_to(&out, SPAN(""));
	prefix_delivered_to(&out, SPAN("a b\n@x.test"));
	CHECK_STR(buf_str(&out), "Return-Path: <>\nDelivered-To: \"a b\\?\"@x.test\n");
	buf_reset(&out);
	prefix_from_line(&out, SPAN(""), (struct clock_wall){ 0 });
	CHECK(span_starts(buf_span(&out), SPAN("From MAILER-DAEMON  Thu Jan  1 ")));
	buf_done(&out);
}

static void test_environment(void)
{
	struct buf out = BUF_INIT(1024);

	environment_start(&out, "A=b, { C = d e } NOT_SET_ANYWHERE");
	environment_add(&out, "X", SPAN("a;b"), "ab");
	environment_add(&out, "EMPTY", SPAN(""), NULL);
	CHECK(memmem(out.data, out.length, "\0A=b\0C=d e\0X=a_b\0", 17) != NULL);
	CHECK(memmem(out.data, out.length, "NOT_SET", 7) == NULL);
	CHECK(memmem(out.data, out.length, "EMPTY", 5) == NULL);
	buf_done(&out);
}

/* ---- with files ---- */

static char directory[] = "/tmp/deliver_test.XXXXXX";
static int dir_fd = -1, queue_fd = -1;

/* A message in a queue file, as cleanup makes it. */
static void make_message(void)
{
	struct queue_writer writer = { .fd = -1 };
	struct msg_envelope envelope = { .sender = SPAN("a@b.test") };
	struct msg_rcpt rcpt = { .address = SPAN("c@d.test") };

	CHECK(mkdtemp(directory) != NULL);
	dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(queue_write_open(&writer, dir_fd, "message"));
	queue_write_body(&writer, SPAN("From me\r\nend\r\n"));
	queue_write_head(&writer, SPAN("Subject: x\r\n"));
	queue_write_envelope(&writer, &envelope);
	queue_write_rcpt(&writer, &rcpt);
	CHECK_INT(queue_write_commit(&writer), 0);
	buf_done(&writer.pending);
	queue_fd = openat(dir_fd, "message", O_RDONLY | O_CLOEXEC);
}

static void read_all(const char *name, struct buf *out)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t size;

	buf_reset(out);
	size = fd >= 0 ? read(fd, buf_room(out, 4096), 4096) : -1;
	if (size > 0)
		buf_grew(out, (size_t)size);
	if (fd >= 0)
		(void)close(fd);
}

static void append(const char *path, struct act *act)
{
	struct message_format format = { .flags = MESSAGE_QUOTE_FROM | MESSAGE_BLANK_END,
					 .from_line = SPAN("From a@b.test  now"),
					 .prefix = SPAN("X: y\n") };
	struct mbox_target target = { .dir_fd = dir_fd, .path = path, .must_be_owned = true,
				      .locks = MBOX_FCNTL | MBOX_DOTLOCK, .stale_lock_s = 500,
				      .new_group = (gid_t)-1 };

	act_done(act);
	act_init(act);
	mbox_append(&target, queue_fd, &format, act);
}

static void test_mbox(void)
{
	static const char one[] = "From a@b.test  now\nX: y\nSubject: x\n\n>From me\nend\n\n";
	struct buf text = BUF_INIT(8192);
	struct act act = { 0 };
	struct stat st;

	append("mbox", &act);
	CHECK_STR(act.status, "2.0.0");
	append("mbox", &act);
	read_all("mbox", &text);
	CHECK_INT(text.length, 2 * strlen(one));
	CHECK(span_starts(buf_span(&text), SPAN(one)));
	CHECK_INT(fstatat(dir_fd, "mbox.lock", &st, 0), -1);

	CHECK_INT(symlinkat("mbox", dir_fd, "link"), 0);
	append("link", &act);
	CHECK(!act_is_good(&act));
	CHECK_INT(linkat(dir_fd, "mbox", dir_fd, "hard", 0), 0);
	append("hard", &act);
	CHECK_STR(act.status, "4.2.0");
	CHECK_INT(unlinkat(dir_fd, "hard", 0), 0);
	CHECK_INT(mkfifoat(dir_fd, "fifo", 0600), 0);
	append("fifo", &act);
	CHECK(!act_is_good(&act));

	/* A lock file that somebody holds, and one that is stale. */
	CHECK_INT(close(openat(dir_fd, "mbox.lock", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	append("mbox", &act);
	CHECK_STR(act.status, "4.2.0");
	CHECK_INT(unlinkat(dir_fd, "mbox.lock", 0), 0);
	read_all("mbox", &text);
	CHECK_INT(text.length, 2 * strlen(one));
	act_done(&act);
	buf_done(&text);
}

static void test_damaged(void)
{
	struct buf text = BUF_INIT(8192);
	struct act act = { 0 };
	int fd = openat(dir_fd, "message", O_WRONLY | O_CLOEXEC);

	CHECK_INT(pwrite(fd, "X", 1, QUEUE_HEADER_BYTES), 1);
	append("damaged", &act);
	CHECK_STR(act.status, "4.3.0");
	read_all("damaged", &text);
	CHECK_INT(text.length, 0);
	CHECK_INT(pwrite(fd, "F", 1, QUEUE_HEADER_BYTES), 1);
	CHECK_INT(close(fd), 0);
	act_done(&act);
	buf_done(&text);
}

static void test_maildir(void)
{
	struct message_format format = { .flags = 0 };
	struct act act;
	struct stat st;

	act_init(&act);
	maildir_add(dir_fd, "a/b/Maildir/", "h:o/st", queue_fd, &format, &act);
	CHECK_STR(act.status, "2.0.0");
	CHECK_INT(fstatat(dir_fd, "a/b/Maildir/new", &st, 0), 0);
	CHECK_INT(st.st_mode & 07777, 0700);
	CHECK_INT(fstatat(dir_fd, "a/b/Maildir/cur", &st, 0), 0);
	CHECK_INT(symlinkat("a/b/Maildir", dir_fd, "Maillink"), 0);
	maildir_add(dir_fd, "Maillink/", "host", queue_fd, &format, &act);
	CHECK(!act_is_good(&act));
	act_done(&act);
}

/* ---- memory that runs out ---- */

enum { HEAD_BYTES = 4 << 20, TEXT_BYTES = 100 << 10 };

/* A message whose head needs more memory than there is in a moment. */
static int make_large_message(void)
{
	struct queue_writer writer = { .fd = -1 };
	struct msg_envelope envelope = { .sender = SPAN("a@b.test") };
	char *head = mem_resize(NULL, HEAD_BYTES);

	memset(head, 'x', HEAD_BYTES);
	CHECK(queue_write_open(&writer, dir_fd, "large"));
	queue_write_head(&writer, (struct span){ head, HEAD_BYTES });
	queue_write_envelope(&writer, &envelope);
	CHECK_INT(queue_write_commit(&writer), 0);
	buf_done(&writer.pending);
	free(head);
	return openat(dir_fd, "large", O_RDONLY | O_CLOEXEC);
}

/* From here on there is no more than about a megabyte, which this process has already. */
static void use_up_memory(void)
{
	struct rlimit none = { 1, 1 };
	char *some;

	(void)mallopt(M_MMAP_THRESHOLD, 2 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 16 << 20);
	some = mem_resize(NULL, 1 << 20);
	memset(some, 1, 1 << 20);
	free(some);
	(void)setrlimit(RLIMIT_AS, &none);
}

/* What is written before the head, so that some of the message is there when memory runs out. */
static void deliver_without_memory(int large, const char *mailbox, struct span prefix)
{
	struct message_format format = { .from_line = SPAN("From a@b.test  now"), .prefix = prefix };
	struct mbox_target target = { .dir_fd = dir_fd, .path = mailbox, .locks = MBOX_DOTLOCK,
				      .new_group = (gid_t)-1 };
	struct act act;
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		act_init(&act);
		(void)close(STDERR_FILENO);
		use_up_memory();
		if (mailbox[strlen(mailbox) - 1] == '/')
			maildir_add(dir_fd, mailbox, "host", large, &format, &act);
		else
			mbox_append(&target, large, &format, &act);
		_exit(0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 1);
}

/* Nothing of the message stays, and no lock. */
static void test_memory(void)
{
	char *text = mem_resize(NULL, TEXT_BYTES);
	struct span prefix = { text, TEXT_BYTES };
	struct stat before, after;
	struct dirent *entry;
	int large = make_large_message(), count = 0;
	DIR *tmp;

	memset(text, 'y', TEXT_BYTES);
	CHECK_INT(fstatat(dir_fd, "mbox", &before, 0), 0);
	deliver_without_memory(large, "mbox", prefix);
	CHECK_INT(fstatat(dir_fd, "mbox", &after, 0), 0);
	CHECK_INT(after.st_size, before.st_size);
	CHECK_INT(fstatat(dir_fd, "mbox.lock", &after, 0), -1);

	deliver_without_memory(large, "a/b/Maildir/", prefix);
	tmp = fdopendir(openat(dir_fd, "a/b/Maildir/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	CHECK(tmp != NULL);
	while (tmp != NULL && (entry = readdir(tmp)) != NULL)
		count += entry->d_name[0] != '.';
	CHECK_INT(count, 0);
	if (tmp != NULL)
		(void)closedir(tmp);
	(void)close(large);
	free(text);
}

static void test_command(void)
{
	static const struct {
		const char *text;
		int limit_s;
		const char *status, *reason;
	} rows[] = {
		{ "cat >/dev/null", 10, "2.0.0", "" },
		{ "/bin/true", 10, "2.0.0", "" },
		{ "exit 67", 10, "5.1.1", "user unknown" },
		{ "echo 4.3.2 try me later; exit 1", 10, "4.3.2", "try me later" },
		{ "echo oops; exit 1", 10, "5.3.0",
		  "Command died with status 1: \"echo oops; exit 1\". Command output: oops " },
		{ "kill -9 $$", 10, "4.3.0", "Command died with signal 9: \"kill -9 $$\"" },
		{ "sleep 20 & sleep 20", 1, "5.3.0",
		  "Command time limit exceeded: \"sleep 20 & sleep 20\"" },
		{ "/no/such/command", 10, "4.3.0",
		  "cannot execute \"/no/such/command\": No such file or directory" },
	};
	char path[] = "PATH=/usr/bin:/bin";
	char *const environment[] = { path, NULL };
	struct message_format format = { .flags = 0 };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct command command = { .text = rows[i].text, .shell = "", .title = rows[i].text,
					   .environment = environment,
					   .time_limit_s = rows[i].limit_s };
		struct act act;

		act_init(&act);
		command_run(&command, queue_fd, &format, &act);
		CHECK_STR(act.status, rows[i].status);
		CHECK_STR(buf_str(&act.reason), rows[i].reason);
		act_done(&act);
	}
}

static void test_remove(void)
{
	char *command = mem_printf("rm -rf %s", directory);

	CHECK_INT(system(command), 0);
	free(command);
}

int main(void)
{
	TEST(delays);
	TEST(destinations);
	TEST(lines);
	TEST(expand);
	TEST(prefix);
	TEST(environment);
	make_message();
	TEST(mbox);
	TEST(damaged);
	TEST(maildir);
	if (!HAS_SANITIZER)
		TEST(memory);
	TEST(command);
	TEST(remove);
	return test_end();
}
