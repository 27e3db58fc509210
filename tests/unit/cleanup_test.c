/* SPDX-License-Identifier: MIT */
/* cleanup: what becomes of content, headers and recipients. Each case is a process of its own,
 * since tables and settings are opened once. */

#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "conf/load.h"
#include "queue/dirs.h"

#define ID "0123456789ABCDEF"

static struct queue_dirs dirs;

static const struct submitter smtpd = { "smtpd", ~0u, ~0u, false };
static const struct submitter pickup = { "pickup", ~0u, ~0u, true };

#define MAIN_CF                                                                                    \
	"compatibility_level = 3.6\nmyhostname = mail.example.test\n"                              \
	"mydomain = example.test\nmyorigin = $mydomain\ninet_interfaces = 127.0.0.1\n"             \
	"mydestination = $mydomain\n"

struct test_case {
	const char *name;
	const char *main_cf; /* behind MAIN_CF */
	const char *sender;
	const char *rcpts; /* separated by blanks */
	const char *content;
	/* What is expected. */
	enum submit_result result;
	const char *status; /* NULL: not looked at, as the others */
	const char *head;   /* behind Received: */
	const char *body;
	const char *stored; /* recipients, as "orig>address " */
	bool is_remote, is_from_pickup;
};

/* Content in pieces of `step` bytes: where a piece ends must change nothing. */
static void submit(struct message *message, const struct test_case *test, size_t step)
{
	struct msg_envelope envelope = {
		.sender = span_of(test->sender),
		.rewrite_context = test->is_remote ? SPAN("remote") : SPAN("local"),
		.protocol = SPAN("ESMTP"),
		.client_name = SPAN("client"),
		.client_addr = SPAN("192.0.2.1"),
		.helo = SPAN("helo"),
	};
	struct span rest = span_of(test->rcpts), word, content = span_of(test->content);
	struct buf rcpts = BUF_INIT(100000);

	(void)snprintf(message->id, sizeof(message->id), ID);
	message->submitter = test->is_from_pickup ? &pickup : &smtpd;
	message_open(message, &envelope, 0);
	while ((word = span_word(&rest, " ")).n > 0) {
		struct msg_rcpt rcpt = { .address = word };

		CHECK(msg_rcpt_encode(&rcpts, &rcpt));
	}
	message_add_rcpts(message, buf_span(&rcpts));
	buf_done(&rcpts);
	while (content.n > 0) {
		message_add_data(message, span_first(content, step));
		content = span_from(content, step);
	}
	message_end_content(message);
	message_finish(message);
}

static void check_rcpts(const struct queue_file *file, const char *want)
{
	struct buf got = BUF_INIT(100000);
	enum rcpt_status status;
	struct msg_rcpt rcpt;
	size_t at = 0;

	while (queue_read_rcpt(file, &at, &status, &rcpt))
		(void)buf_printf(&got, "%.*s>%.*s ", SPAN_ARG(rcpt.orig_address),
				 SPAN_ARG(rcpt.address));
	CHECK_STR(buf_str(&got), want);
	buf_done(&got);
}

static void check_file(const struct test_case *test)
{
	struct queue_file file;
	struct buf head = BUF_INIT(1000000), body = BUF_INIT(1000000);
	struct queue_body reader;
	enum body_status status;
	struct span block, rest;
	struct header received;

	CHECK_INT(queue_read_open(&file, queue_open_in(&dirs, QUEUE_INCOMING, ID, O_RDWR)),
		  QUEUE_GOOD);
	CHECK(queue_read_head(file.fd, &file.header, &head));
	queue_body_start(&reader, file.fd, &file.header);
	while ((status = queue_body_next(&reader, &block)) == BODY_BLOCK)
		(void)buf_add(&body, block);
	CHECK_INT(status, BODY_END);
	queue_body_done(&reader);
	rest = buf_span(&head);
	CHECK(header_next(&rest, &received) && received.info->id == HEADER_RECEIVED);
	if (test->head != NULL)
		CHECK_SPAN(rest, test->head);
	if (test->body != NULL)
		CHECK_SPAN(buf_span(&body), test->body);
	if (test->stored != NULL)
		check_rcpts(&file, test->stored);
	buf_done(&head);
	buf_done(&body);
	queue_read_close(&file);
	CHECK(queue_remove(&dirs, QUEUE_INCOMING, ID));
}

static void run_case(const struct test_case *test)
{
	static const size_t steps[] = { SIZE_MAX, 1, 2, 3, 7 };
	struct buf text = BUF_INIT(100000);
	struct message message;
	struct stat st;

	log_open("cleanup_test", open(getenv("VERBOSE") != NULL ? "/dev/stderr" : "/dev/null",
				      O_WRONLY | O_CLOEXEC));
	(void)buf_printf(&text, "%s%s", MAIN_CF, test->main_cf);
	CHECK(conf_load_text(buf_span(&text)));
	buf_done(&text);
	content_prepare();
	head_prepare();
	rewrite_prepare();
	expand_prepare();
	checks_prepare();
	commit_prepare();
	message_init(&message);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		submit(&message, test, steps[i]);
		CHECK_INT(message.result, test->result);
		if (test->status != NULL)
			CHECK_STR(message.status, test->status);
		if (message.result == SUBMIT_OK && test->result == SUBMIT_OK)
			check_file(test);
		message_reset(&message);
		CHECK(!queue_stat(&dirs, QUEUE_INCOMING, ID, &st));
		if (test_failures_here > 0)
			printf("# in pieces of %zu\n", steps[i]);
	}
}

static void run_cases(const struct test_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int status = 0;
		pid_t pid;

		(void)fflush(stdout);
		pid = fork();
		if (pid == 0) {
			test_failures_here = 0;
			run_case(&cases[i]);
			(void)fflush(stdout);
			_exit(test_failures_here > 0);
		}
		CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
		CHECK_INT(status, 0);
		if (status != 0)
			printf("# case %s\n", cases[i].name);
	}
}

#define TO "bob@example.test"
#define REMOTE .is_remote = true

static void test_content(void)
{
	static const struct test_case cases[] = {
		{ "plain", "", "a@b.test", TO, "Subject: x\r\n\r\nbody\r\n",
		  .head = "Subject: x\r\n", .body = "body\r\n", REMOTE },
		{ "no line end", "", "a@b.test", TO, "Subject: x\r\n\r\nbody", .body = "body\r\n",
		  REMOTE },
		{ "stray CR and LF", "", "a@b.test", TO, "A: x\ry\r\n\r\na\rb\nc\r\r\n.\r",
		  .head = "A: x y\r\n", .body = "a b\r\nc \r\n. \r\n", REMOTE },
		{ "stray CR kept", "cleanup_replace_stray_cr_lf = no\n", "a@b.test", TO,
		  "A: x\r\n\r\na\rb\r\n", .body = "a\rb\r\n", REMOTE },
		{ "blank lines", "", "a@b.test", TO, "A: x\r\n\r\n\r\n\n\r\n",
		  .body = "\r\n\r\n\r\n", REMOTE },
		{ "no head", "", "a@b.test", TO, "\r\nbody\r\n", .head = "", .body = "body\r\n",
		  REMOTE },
		{ "empty", "", "a@b.test", TO, "", .head = "", .body = "", REMOTE },
		{ "head alone", "", "a@b.test", TO, "A: b\r\n c", .head = "A: b\r\n c\r\n",
		  .body = "", REMOTE },
		{ "no header", "", "a@b.test", TO, "A: b\r\nno header\r\nC: d\r\n",
		  .head = "A: b\r\n", .body = "no header\r\nC: d\r\n", REMOTE },
		{ "leading blank", "", "a@b.test", TO, " x\r\nA: b\r\n", .head = "",
		  .body = " x\r\nA: b\r\n", REMOTE },
		{ "mailbox line", "", "a@b.test", TO, "From x y\r\nA: b\r\n\r\n",
		  .head = "X-Mailbox-Line: From x y\r\nA: b\r\n", REMOTE },
		{ "strip", "message_strip_characters = \\b\\101\n", "a@b.test", TO,
		  "X: a\bA\r\n\r\n\bx\r\n", .head = "X: a\r\n", .body = "x\r\n", REMOTE },
		{ "reject", "message_reject_characters = \\7\n", "a@b.test", TO,
		  "X: a\r\n\r\nx\a\r\n", .result = SUBMIT_REJECT, .status = "5.7.1", REMOTE },
		{ "size", "message_size_limit = 20\n", "a@b.test", TO,
		  "X: a\r\n\r\n12345678901234567890", .result = SUBMIT_TOO_BIG, .status = "5.3.4",
		  REMOTE },
		{ "long header", "header_size_limit = 10\n", "a@b.test", TO,
		  "A: 1234567890\r\n more\r\nB: c\r\n\r\n", .head = "A: 1234567\r\nB: c\r\n",
		  REMOTE },
		{ "to 7bit", "force_mime_input_conversion = yes\n", "a@b.test", TO,
		  "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\na\xe9\r\n",
		  .head = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n",
		  .body = "a=E9\r\n", REMOTE },
		{ "hops", "hopcount_limit = 2\n", "a@b.test", TO,
		  "Received: 1\r\nReceived: 2\r\nReceived: 3\r\n\r\n", .result = SUBMIT_LOOP,
		  .status = "5.4.0", REMOTE },
		{ "hops allowed", "hopcount_limit = 2\n", "a@b.test", TO,
		  "Received: 1\r\nReceived: 2\r\n\r\n", .head = "Received: 1\r\nReceived: 2\r\n",
		  REMOTE },
	};

	run_cases(cases, ARRAY_LEN(cases));
}

static void test_headers(void)
{
	static const struct test_case cases[] = {
		{ "dropped", "", "a@b.test", TO,
		  "Bcc: x\r\nContent-Length: 5\r\nReturn-Path: <x>\r\nA: b\r\n\r\n",
		  .head = "A: b\r\n", REMOTE },
		{ "rewritten", "canonical_maps = inline:{old@example.test=new}\n", "a@b.test", TO,
		  "From: X <old@example.test>\r\nTo: (c) bob,\r\n old@example.test\r\nDate: "
		  "d\r\nMessage-Id: m\r\n\r\n",
		  .head = "From: X <new@example.test>\r\nTo: (c) bob@example.test,\r\n "
			  "new@example.test\r\nDate: d\r\n"
			  "Message-Id: m\r\n" },
		{ "remote left alone", "canonical_maps = inline:{old@example.test=new}\n",
		  "a@b.test", TO, "To: bob, old@example.test\r\n\r\n",
		  .head = "To: bob, old@example.test\r\n", REMOTE },
		{ "remote domain", "remote_header_rewrite_domain = invalid\n", "a@b.test", TO,
		  "To: bob\r\n\r\n", .head = "To: bob@invalid\r\n", REMOTE },
		{ "from added", "", "a@b.test", TO, "Date: d\r\nMessage-Id: m\r\n\r\n",
		  .head = "Date: d\r\nMessage-Id: m\r\nFrom: a@b.test\r\n" },
		{ "from of bounce", "", "", TO, "Date: d\r\nMessage-Id: m\r\n\r\n",
		  .head = "Date: d\r\nMessage-Id: m\r\nFrom: MAILER-DAEMON\r\n" },
		{ "resent", "undisclosed_recipients_header = To: u:;\n", "a@b.test", TO,
		  "Resent-Date: d\r\nResent-Message-Id: m\r\n\r\n",
		  .head = "Resent-Date: d\r\nResent-Message-Id: m\r\nResent-From: a@b.test\r\nTo: "
			  "u:;\r\n" },
		{ "checks",
		  "header_checks = inline:{{A:b=REPLACE A: c},{B:b=IGNORE},{C:b=PREPEND D: d}}\n"
		  "body_checks = inline:{{one=REPLACE 1},{two=IGNORE},{three=PREPEND 2}}\n",
		  "a@b.test", TO, "A:b\r\nB:b\r\nC:b\r\n\r\none\r\ntwo\r\nthree\r\nfour\r\n",
		  .head = "A: c\r\nD: d\r\nC:b\r\n", .body = "1\r\n2\r\nthree\r\nfour\r\n",
		  REMOTE },
		{ "rejected", "header_checks = inline:{{A:b=REJECT 5.7.9 no}}\n", "a@b.test", TO,
		  "A:b\r\n\r\n", .result = SUBMIT_REJECT, .status = "5.7.9", REMOTE },
		{ "rejected local mail returns", "header_checks = inline:{{A:b=REJECT}}\n",
		  "a@b.test", TO, "A:b\r\nDate: d\r\nMessage-Id: m\r\nFrom: x@y.test\r\n\r\nx\r\n",
		  .head = "A:b\r\nDate: d\r\nMessage-Id: m\r\nFrom: x@y.test\r\n", .body = "x\r\n",
		  .is_from_pickup = true },
		{ "discarded", "body_checks = inline:{{x=DISCARD}}\n", "a@b.test", TO,
		  "A:b\r\n\r\nx\r\n", .result = SUBMIT_DISCARD, REMOTE },
		{ "table fails", "header_checks = fail:x\n", "a@b.test", TO, "A: b\r\n\r\nx\r\n",
		  .result = SUBMIT_DEFER, REMOTE },
	};

	run_cases(cases, ARRAY_LEN(cases));
}

static void test_recipients(void)
{
	static const struct test_case cases[] = {
		{ "completed", "", "a", "bob \"x", "\r\n",
		  .stored = "bob>bob@example.test \"x>\"x@example.test " },
		{ "duplicates", "", "a", "bob BOB@example.test bob", "\r\n",
		  .stored = "bob>bob@example.test BOB@example.test>BOB@example.test " },
		{ "no original", "enable_original_recipient = no\n", "a",
		  "bob BOB@example.test bob", "\r\n", .stored = ">bob@example.test " },
		{ "aliases",
		  "recipient_delimiter = +\nvirtual_alias_maps = "
		  "inline:{{v@v.test=a b@c.test},{b@c.test=c d},{d@example.test=d@example.test "
		  "e}}\n",
		  "a", "v+x@v.test", "\r\n",
		  .stored = "v+x@v.test>a+x@example.test v+x@v.test>c+x@example.test "
			    "v+x@v.test>d+x@example.test "
			    "v+x@v.test>e+x@example.test " },
		{ "too many",
		  "virtual_alias_expansion_limit = 2\nvirtual_alias_maps = inline:{{v@v.test=a b "
		  "c}}\n",
		  "a", "v@v.test", "\r\n", .result = SUBMIT_DEFER, .status = "4.6.0" },
		{ "loop", "virtual_alias_maps = inline:{{a@v.test=b@v.test},{b@v.test=a@v.test}}\n",
		  "a", "a@v.test", "\r\n", .result = SUBMIT_DEFER, .status = "4.6.0" },
		{ "copies",
		  "always_bcc = all\nsender_bcc_maps = inline:{a@example.test=s}\n"
		  "recipient_bcc_maps = inline:{bob@example.test=r}\n",
		  "a", "bob", "\r\n",
		  .stored = "s@example.test>s@example.test bob>bob@example.test "
			    "r@example.test>r@example.test "
			    "all@example.test>all@example.test " },
		{ "masquerade",
		  "masquerade_domains = !x.m.test m.test\nmasquerade_classes = "
		  "envelope_recipient\n",
		  "a", "a@h.m.test b@h.x.m.test c@m.test d@xm.test", "\r\n",
		  .stored = "a@h.m.test>a@m.test b@h.x.m.test>b@h.x.m.test c@m.test>c@m.test "
			    "d@xm.test>d@xm.test " },
		{ "none", "", "a", "", "\r\n", .result = SUBMIT_REJECT, .status = "5.1.0" },
	};

	run_cases(cases, ARRAY_LEN(cases));
}

int main(void)
{
	char path[] = "/tmp/cleanup_test.XXXXXX", command[100];
	struct buf error = BUF_INIT(1000);

	if (mkdtemp(path) == NULL || chdir(path) < 0 ||
	    !queue_dirs_make(".", getuid(), getgid(), &error) || !queue_dirs_open(&dirs, "."))
		return 1;
	buf_done(&error);
	TEST(content);
	TEST(headers);
	TEST(recipients);
	(void)snprintf(command, sizeof(command), "rm -rf %s", path);
	return system(command) != 0 || test_end();
}
