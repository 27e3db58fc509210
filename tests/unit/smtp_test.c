/* SPDX-License-Identifier: MIT */
/* The smtp client: nexthop texts, and content on the wire. */

#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf.h"
#include "conf/load.h"
#include "ipc/messages.h"
#include "queue/envelope.h"
#include "route/site.h"
#include "smtp/tls.h"

bool is_lmtp;
struct site site;

static struct maps *no_maps(void)
{
	static struct maps *none;
	struct buf error = BUF_INIT(100);

	if (none == NULL)
		none = maps_open("none", SPAN(""), 0, &error);
	return none;
}

static void prepare(void)
{
	CHECK(conf_load_text(SPAN("compatibility_level = 3.6\nmyhostname = mail.example.test\n")));
	tables.generic = tables.header_checks = tables.mime_header_checks = no_maps();
	tables.nested_header_checks = tables.body_checks = tables.discard_ehlo = tables.generic;
	tables.reply_filter = tables.dns_reply_filter = tables.pix_workarounds = tables.generic;
	hosts_prepare();
	tables.default_port = 25;
}

/* ---- targets ---- */

static const struct {
	const char *text, *host;
	unsigned port;
	bool is_lmtp, is_exact, is_unix;
} targets[] = {
	{ "example.test", "example.test", 25, false, false, false },
	{ "example.test:587", "example.test", 587, false, false, false },
	{ "example.test:submission", "example.test", 587, false, false, false },
	{ "[mx.example.test]", "mx.example.test", 25, false, true, false },
	{ "[mx.example.test]:2525", "mx.example.test", 2525, false, true, false },
	{ "[192.0.2.1]", "192.0.2.1", 25, false, true, false },
	{ "[IPv6:2001:db8::1]:26", "2001:db8::1", 26, false, true, false },
	{ "[2001:db8::1]", "2001:db8::1", 25, false, true, false },
	{ "[mx.example.test", "", 25, false, false, false },
	{ "[mx.example.test]x", "", 25, false, true, false },
	{ "[]", "", 25, false, true, false },
	{ "example.test:", "", 25, false, false, false },
	{ "example.test:0", "", 25, false, false, false },
	{ "example.test:65536", "", 25, false, false, false },
	{ "example.test:nosuch", "", 25, false, false, false },
	{ "inet:host:24", "host", 24, true, true, false },
	{ "host:2424", "host", 2424, true, true, false },
	{ "unix:/run/lmtp", "/run/lmtp", 25, true, true, true },
};

static void test_targets(void)
{
	struct span list = SPAN(" one,two:26  [three] ");
	struct target target;
	unsigned count = 0;

	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		struct span rest = span_of(targets[i].text);

		is_lmtp = targets[i].is_lmtp;
		CHECK(target_next(&rest, &target));
		if (!span_is(target.host, targets[i].host))
			printf("# %s\n", targets[i].text);
		CHECK_SPAN(target.host, targets[i].host);
		if (*targets[i].host != '\0')
			CHECK_INT(target.port, targets[i].port);
		CHECK_INT(target.is_exact, targets[i].is_exact);
		CHECK_INT(target.is_unix, targets[i].is_unix);
		CHECK(!target_next(&rest, &target));
	}
	is_lmtp = false;
	while (target_next(&list, &target))
		count++;
	CHECK_INT(count, 3);
}

static void test_srv_targets(void)
{
	static const struct {
		const char *text, *service;
	} rows[] = {
		{ "example.test:submission", "submission" },
		{ "example.test:465", "" },
		{ "[example.test]:submission", "" },
		{ "example.test", "smtp" },
	};
	struct target target;

	CHECK(conf_load_text(SPAN("use_srv_lookup = submission smtp\n")));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct span rest = span_of(rows[i].text);

		CHECK(target_next(&rest, &target));
		CHECK_SPAN(target.service, rows[i].service);
	}
}

/* ---- SRV ---- */

static unsigned next_number;

static unsigned number(void)
{
	return next_number;
}

/* Priority 10 first; among its weights 0, 40 and 60 the draws 0, 1 to 40 and 41 to 100 choose. */
static void test_srv_order(void)
{
	static const struct {
		unsigned draw;
		const char *order;
	} rows[] = {
		{ 0, "0,40,60,last" },
		{ 1, "40,60,0,last" },
		{ 40, "40,60,0,last" },
		{ 41, "60,0,40,last" },
		{ 100, "60,40,0,last" },
		{ 101, "0,40,60,last" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct msg_dns_record records[] = {
			{ .preference = 20, .weight = 9, .host = SPAN("last") },
			{ .preference = 10, .weight = 60, .host = SPAN("60") },
			{ .preference = 10, .weight = 40, .host = SPAN("40") },
			{ .preference = 10, .weight = 0, .host = SPAN("0") },
		};
		struct buf order = BUF_INIT(100);

		next_number = rows[i].draw;
		srv_order(records, ARRAY_LEN(records), number);
		for (size_t k = 0; k < ARRAY_LEN(records); k++)
			(void)buf_printf(&order, "%s%.*s", k > 0 ? "," : "",
					 SPAN_ARG(records[k].host));
		CHECK_STR(buf_str(&order), rows[i].order);
		buf_done(&order);
	}
	srv_order(NULL, 0, number);
}

/* ---- PIX ---- */

static void test_pix(void)
{
	static const struct {
		const char *greeting;
		bool is_pix;
	} rows[] = {
		{ "220 ****2***0** *", true },
		{ "220 ****", true },
		{ "220 mx.example ESMTP", false },
		{ "220 *** x", false },
	};
	struct session session = { .name = "mx.example[192.0.2.1]" };
	struct delivery delivery = { .id = "ID" };
	struct transfer transfer = { .delivery = &delivery };

	delivery.request.arrival_us = clock_wall_now().us;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		bool is_helo;

		smtp_reply_init(&session.reply);
		CHECK(smtp_reply_line(&session.reply, span_of(rows[i].greeting)) ==
		      SMTP_REPLY_DONE);
		pix_detect(&session, &transfer, &is_helo);
		CHECK_INT(is_helo, rows[i].is_pix);
		/* The message is too young. */
		CHECK(!session.delays_dot);
		smtp_reply_done(&session.reply);
	}
}

/* ---- content ---- */

static int write_file(const char *head, struct span body, uint32_t content)
{
	struct queue_writer writer = { .fd = -1 };
	struct msg_envelope envelope = { .sender = SPAN("s@client.test") };
	int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	CHECK(queue_write_open(&writer, dir, "message"));
	writer.header.content = content;
	queue_write_body(&writer, body);
	queue_write_head(&writer, span_of(head));
	queue_write_envelope(&writer, &envelope);
	CHECK_INT(queue_write_commit(&writer), 0);
	buf_done(&writer.pending);
	fd = open("message", O_RDWR | O_CLOEXEC);
	(void)unlink("message");
	(void)close(dir);
	return fd;
}

/* What content_send() writes, and what it returns. */
static enum content send_file(int fd, unsigned features, struct buf *out)
{
	struct session session = { .features = features };
	struct delivery delivery = { .fd = fd, .id = "ID" };
	struct transfer transfer = { .delivery = &delivery };
	enum content content = CONTENT_FAILED;
	int pair[2];
	ssize_t size;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	stream_open(&session.stream, pair[0]);
	why_init(&transfer.why);
	CHECK(queue_read_header(fd, &delivery.header) == QUEUE_GOOD);
	if (content_prepare(&transfer))
		content = content_send(&session, &transfer);
	(void)stream_flush(&session.stream);
	stream_close(&session.stream);
	while ((size = read(pair[1], buf_room(out, 65536), 65536)) > 0)
		buf_grew(out, (size_t)size);
	(void)close(pair[1]);
	buf_done(&transfer.head);
	why_done(&transfer.why);
	return content;
}

#define LONG_100 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define LONG_500 LONG_100 LONG_100 LONG_100 LONG_100 LONG_100

static const struct {
	const char *head, *body;
	uint32_t content;
	unsigned features;
	const char *wire;
} contents[] = {
	{ "A: b\r\n", "body\r\n", 0, FEATURE_8BITMIME, "A: b\r\n\r\nbody\r\n" },
	{ "A: b\r\n", "", 0, 0, "A: b\r\n\r\n" },
	{ "A: b\r\n", "no end", 0, 0, "A: b\r\n\r\nno end\r\n" },
	{ ".A: b\r\n", "x\r\n", 0, 0, "..A: b\r\n\r\nx\r\n" },
	{ "A: b\r\n", ".\r\n..\r\na.\r\n.b", CONTENT_DOTS, 0, "A: b\r\n\r\n..\r\n...\r\na.\r\n..b\r\n" },
	{ "A: b\r\n", LONG_500 LONG_500 "\r\n", CONTENT_LONG_LINES, 0,
	  "A: b\r\n\r\n" LONG_500 LONG_100 LONG_100 LONG_100 LONG_100
	  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	  "\r\n xx\r\n" },
	{ "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	  "Content-Transfer-Encoding: 8bit\r\n",
	  "caf\xc3\xa9\r\n.\r\n", CONTENT_8BIT | CONTENT_DOTS, 0,
	  "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	  "Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9\r\n..\r\n" },
	{ "A: b\r\n", "caf\xc3\xa9\r\n", CONTENT_8BIT, FEATURE_8BITMIME, "A: b\r\n\r\ncaf\xc3\xa9\r\n" },
};

static void test_content(void)
{
	struct buf out = BUF_INIT(1 << 20);

	for (size_t i = 0; i < ARRAY_LEN(contents); i++) {
		int fd = write_file(contents[i].head, span_of(contents[i].body),
				    contents[i].content);

		buf_reset(&out);
		CHECK_INT(send_file(fd, contents[i].features, &out), CONTENT_SENT);
		CHECK_STR(buf_str(&out), contents[i].wire);
		(void)close(fd);
	}
	buf_done(&out);
}

/* Dots at every place of a body that is longer than a block of the queue file. */
static void test_dots_in_blocks(void)
{
	struct buf body = BUF_INIT(1 << 20), wire = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	int fd;

	(void)buf_text(&wire, "A: b\r\n\r\n");
	for (unsigned i = 0; i < 20000; i++) {
		(void)buf_printf(&body, ".%.*s\r\n", (int)(i % 7), "......");
		(void)buf_printf(&wire, "..%.*s\r\n", (int)(i % 7), "......");
	}
	/* More than a socket takes at once is not read here. */
	buf_truncate(&body, 100000);
	fd = write_file("A: b\r\n", buf_span(&body), CONTENT_DOTS);
	CHECK_INT(send_file(fd, 0, &out), CONTENT_SENT);
	CHECK(buf_span(&out).n > 100000);
	CHECK(span_starts(buf_span(&wire), span_first(buf_span(&out), buf_span(&out).n - 4)));
	(void)close(fd);
	buf_done(&body);
	buf_done(&wire);
	buf_done(&out);
}

/* A body whose checksum is wrong is never said to be sent. */
static void test_damage(void)
{
	struct buf out = BUF_INIT(1 << 20);
	int fd = write_file("A: b\r\n", SPAN("body\r\n"), 0);

	CHECK(pwrite(fd, "B", 1, QUEUE_HEADER_BYTES) == 1);
	CHECK_INT(send_file(fd, 0, &out), CONTENT_FAILED);
	(void)close(fd);
	fd = write_file("A: b\r\n", SPAN("body\r\n"), CONTENT_LONG_LINES);
	CHECK(pwrite(fd, "B", 1, QUEUE_HEADER_BYTES) == 1);
	CHECK_INT(send_file(fd, 0, &out), CONTENT_FAILED);
	(void)close(fd);
	fd = write_file("A: b\r\n", SPAN("body\r\n"), 0);
	CHECK(pwrite(fd, "B", 1, QUEUE_HEADER_BYTES + 6) == 1);
	CHECK_INT(send_file(fd, 0, &out), CONTENT_FAILED);
	(void)close(fd);
	buf_done(&out);
}

/* ---- policies ---- */

static const char policies[] =
	"myhostname = mail.example.test\nsmtp_tls_security_level = may\n"
	"smtp_tls_mandatory_protocols = >=TLSv1.2\n"
	"smtp_tls_policy_maps = inline:{ "
	"{ none.test = none match=x } { .none.test = encrypt } { secure.test = secure } "
	"{ match.test = verify match=hostname:.a.test match=b.test servername=nexthop } "
	"{ print.test = fingerprint match=AA:BB|CC:DD match=EE:FF } "
	"{ limits.test = may protocols=TLSv1.2:TLSv1.3 ciphers=high exclude=AES256 connection_reuse=no } "
	"{ [mx.test]:26 = encrypt } { bad1.test = nonsense } { bad2.test = encrypt match=a.test } "
	"{ bad3.test = verify tafile=/x } { bad4.test = encrypt protocols=TLSv9 } "
	"{ bad5.test = encrypt ciphers=best } { bad6.test = encrypt ciphers } "
	"{ bad7.test = fingerprint } { bad8.test = encrypt exclude=+AES } "
	"{ bad9.test = encrypt connection_reuse=maybe } "
	"{ sts.test = secure match=.host.test policy_type=sts policy_ttl=86400 "
	"{ policy_string = version: STSv1 } { policy_string = mode: enforce } policy_domain=sts.test "
	"mx_host_pattern=*.host.test mx_host_pattern=x.test servername=hostname } "
	"{ sts2.test = secure match=x policy_type=sts mx_host_pattern=*.other.test } "
	"{ sts3.test = secure match=x policy_type=no-policy-found mx_host_pattern=a.test } "
	"{ sts4.test = may policy_type=sts policy_failure=sts-policy-fetch-error } "
	"{ bad10.test = secure policy_type=dane } { bad11.test = secure policy_ttl=x } "
	"{ bad12.test = secure { policy_string } } { bad13.test = secure { match=x }y } }\n";

static const struct {
	const char *nexthop;
	int level; /* -1: it must not be used */
	const char *names, *server_name, *protocols;
	bool is_once; /* one message a connection */
} wanted[] = {
	{ "other.test", LEVEL_MAY, "", "", ">=TLSv1", false },
	{ "none.test", LEVEL_NONE, "", "", "", false },
	{ "a.b.none.test", LEVEL_ENCRYPT, "", "", ">=TLSv1.2", false },
	{ "secure.test", LEVEL_SECURE, "secure.test .secure.test ", "", ">=TLSv1.2", false },
	{ "match.test", LEVEL_VERIFY, "mx.host.test .a.test b.test ", "match.test", ">=TLSv1.2",
	  false },
	{ "print.test", LEVEL_FINGERPRINT, "AA:BB CC:DD EE:FF ", "", ">=TLSv1.2", false },
	{ "limits.test", LEVEL_MAY, "", "", "TLSv1.2:TLSv1.3", true },
	{ "[mx.test]:26", LEVEL_ENCRYPT, "", "", ">=TLSv1.2", false },
	{ "[mx.test]", LEVEL_MAY, "", "", ">=TLSv1", false },
	{ "[a.none.test]", LEVEL_MAY, "", "", ">=TLSv1", false },
	{ "bad1.test", -1, "", "", "", false },	{ "bad2.test", -1, "", "", "", false },
	{ "bad3.test", -1, "", "", "", false },	{ "bad4.test", -1, "", "", "", false },
	{ "bad5.test", -1, "", "", "", false },	{ "bad6.test", -1, "", "", "", false },
	{ "bad7.test", -1, "", "", "", false },	{ "bad8.test", -1, "", "", "", false },
	{ "bad9.test", -1, "", "", "", false },
	{ "sts.test", LEVEL_SECURE, ".host.test ", "mx.host.test", ">=TLSv1.2", false },
	{ "sts2.test", -1, "", "", "", false },
	{ "sts3.test", LEVEL_SECURE, "x ", "", ">=TLSv1.2", false },
	{ "sts4.test", LEVEL_MAY, "", "", ">=TLSv1", false },
	{ "bad10.test", -1, "", "", "", false }, { "bad11.test", -1, "", "", "", false },
	{ "bad12.test", -1, "", "", "", false }, { "bad13.test", -1, "", "", "", false },
};

static void check_policy(size_t i, const struct policy *policy)
{
	struct buf names = BUF_INIT(1000);

	for (size_t k = 0; k < policy->name_count; k++)
		(void)buf_printf(&names, "%.*s ", SPAN_ARG(policy->names[k]));
	CHECK_INT(policy->level, wanted[i].level);
	CHECK_STR(buf_str(&names), wanted[i].names);
	CHECK_STR(policy->server_name != NULL ? policy->server_name : "", wanted[i].server_name);
	CHECK_STR(policy->protocols != NULL ? policy->protocols : "", wanted[i].protocols);
	CHECK(policy->may_reuse != wanted[i].is_once);
	/* Of those that come from MTA-STS the certificate must have the name of the host. */
	CHECK(policy->is_sts == (strcmp(wanted[i].nexthop, "sts.test") == 0));
	if (policy->is_sts) {
		CHECK_SPAN(policy->sts_host, "mx.host.test");
		CHECK_SPAN(policy->sts_domain, "sts.test");
	}
	buf_done(&names);
}

static void test_sts_default(void)
{
	CHECK(conf_load_text(SPAN("compatibility_level = 3.10\n")));
	CHECK(!conf->smtp_tls_mta_sts);
	CHECK(conf_load_text(SPAN("compatibility_level = 3.11\n")));
	CHECK(conf->smtp_tls_mta_sts);
	prepare();
}

static void test_policies(void)
{
	struct delivery delivery = { .id = "ID" };
	struct transfer transfer = { .delivery = &delivery };
	struct host host = { .name = SPAN("mx.host.test"), .asked = SPAN("mx.host.test"), .port = 25 };

	CHECK(conf_load_text(span_of(policies)));
	policy_prepare();
	CHECK(policy_may_want_tls());
	why_init(&transfer.why);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		struct span rest = span_of(wanted[i].nexthop);
		struct target target;
		struct policy policy;
		bool is_usable;

		CHECK(target_next(&rest, &target));
		is_usable = policy_make(&transfer, &target, &host, &policy);
		CHECK(is_usable == (wanted[i].level >= 0));
		if (is_usable)
			check_policy(i, &policy);
		else
			CHECK_STR(transfer.why.status, "4.7.5");
	}
	why_done(&transfer.why);
	arena_done(&delivery.arena);
	prepare();
}

int main(void)
{
	char path[] = "/tmp/smtp_test.XXXXXX";

	if (mkdtemp(path) == NULL || chdir(path) < 0)
		return 1;
	prepare();
	TEST(targets);
	TEST(srv_targets);
	TEST(srv_order);
	TEST(pix);
	TEST(content);
	TEST(dots_in_blocks);
	TEST(damage);
	TEST(policies);
	TEST(sts_default);
	(void)rmdir(path);
	return test_end();
}
