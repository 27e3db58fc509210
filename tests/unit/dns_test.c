/* SPDX-License-Identifier: MIT */
/* DNS packets, resolv.conf, hosts. */

#include "net/dns_filter.h"
#include "net/dns_memory.h"
#include "net/dns_wire.h"
#include "net/resolv_conf.h"
#include "table/maps.h"
#include "test.h"

/* A reply is built as bytes: header, question, and records that the cases give. */
static struct buf packet = BUF_INIT(65536);

#define BYTES(literal) buf_append(&packet, literal, sizeof(literal) - 1)
#define AT_QUESTION "\xc0\x0c" /* a pointer to the name of the question */

static void begin(const char *flags, char type, char answers, char authorities)
{
	buf_reset(&packet);
	BYTES("\x12\x34");
	buf_append(&packet, flags, 2);
	BYTES("\0\1\0");
	buf_char(&packet, answers);
	BYTES("\0");
	buf_char(&packet, authorities);
	BYTES("\0\0\1a\4test\0\0");
	buf_char(&packet, type);
	BYTES("\0\1");
}

/* class IN, TTL 60, and the size of the data */
static void record(const char *type_and_size, const char *data, size_t size)
{
	BYTES(AT_QUESTION "\0");
	buf_char(&packet, type_and_size[0]);
	BYTES("\0\1\0\0\0\x3c\0");
	buf_char(&packet, type_and_size[1] != '\0' ? type_and_size[1] : (char)size);
	buf_append(&packet, data, size);
}

#define RECORD(type, literal) record(type, literal, sizeof(literal) - 1)

static bool parse(enum dns_type type, struct dns_reply *reply)
{
	return dns_reply_parse(buf_span(&packet), SPAN("A.test"), type, reply);
}

static struct msg_dns_record nth(const struct dns_reply *reply, size_t n)
{
	struct span rest = buf_span(&reply->records);
	struct msg_dns_record got = { 0 };

	for (size_t i = 0; i <= n; i++)
		CHECK(msg_dns_record_decode(&rest, &got));
	return got;
}

static void test_question(void)
{
	struct buf out = BUF_INIT(1000);
	char label[70];

	CHECK(dns_wire_question(&out, SPAN("a.test"), DNS_MX, 0x1234));
	CHECK_INT(buf_span(&out).n, 12 + 8 + 4 + 11);
	CHECK(memcmp(buf_str(&out), "\x12\x34\x01\x20\0\1\0\0\0\0\0\1", 12) == 0);
	CHECK(memcmp(buf_str(&out) + 12, "\1a\4test\0\0\x0f\0\1\0\0\x29", 15) == 0);
	buf_reset(&out);
	CHECK(dns_wire_question(&out, SPAN("_25._tcp.a.test."), DNS_TLSA, 1));
	buf_reset(&out);
	memset(label, 'x', sizeof(label));
	CHECK(dns_wire_question(&out, (struct span){ label, 63 }, DNS_A, 1));
	buf_reset(&out);
	CHECK(dns_wire_question(&out, SPAN("."), DNS_NS, 1));
	CHECK(memcmp(out.data + 12, "\0\0\2\0\1", 5) == 0);
	buf_reset(&out);
	CHECK(!dns_wire_question(&out, (struct span){ label, 64 }, DNS_A, 1));
	CHECK(!dns_wire_question(&out, SPAN(""), DNS_A, 1));
	CHECK(!dns_wire_question(&out, SPAN(".."), DNS_A, 1));
	CHECK(!dns_wire_question(&out, SPAN("a..b"), DNS_A, 1));
	CHECK(!dns_wire_question(&out, SPAN("a b"), DNS_A, 1));
	CHECK(!dns_wire_question(&out, SPAN("a\nb"), DNS_A, 1));
	CHECK_INT(buf_span(&out).n, 0);
	buf_done(&out);
}

static void test_addresses(void)
{
	struct dns_reply reply;

	dns_reply_init(&reply);
	begin("\x81\xa0", DNS_A, 2, 0);
	RECORD("\1", "\xc0\0\2\1");
	RECORD("\1", "\xc0\0\2\2");
	CHECK(parse(DNS_A, &reply));
	CHECK_INT(reply.count, 2);
	CHECK_INT(reply.ttl_s, 60);
	CHECK(reply.has_ad);
	CHECK_SPAN(nth(&reply, 1).host, "192.0.2.2");
	begin("\x81\x80", DNS_A, 1, 0);
	RECORD("\1", "\xc0\0\2");
	CHECK(!parse(DNS_A, &reply));
	begin("\x81\x80", DNS_A, 1, 0);
	RECORD("\1\5", "\xc0\0\2\1");
	CHECK(!parse(DNS_A, &reply));
	dns_reply_done(&reply);
}

static void test_mx(void)
{
	struct dns_reply reply;

	dns_reply_init(&reply);
	begin("\x81\x80", DNS_MX, 3, 0);
	RECORD("\x0f", "\0\x0a\2mx" AT_QUESTION);
	RECORD("\x0f", "\0\x14\3m;x" AT_QUESTION);
	RECORD("\x0f", "\0\x1e\3m\nx" AT_QUESTION);
	CHECK(parse(DNS_MX, &reply));
	CHECK_INT(reply.count, 1);
	CHECK_SPAN(nth(&reply, 0).host, "mx.a.test");
	CHECK_INT(nth(&reply, 0).preference, 10);
	/* RFC 7505 */
	begin("\x81\x80", DNS_MX, 1, 0);
	RECORD("\x0f", "\0\0\0");
	CHECK(parse(DNS_MX, &reply));
	CHECK_INT(reply.count, 1);
	CHECK_SPAN(nth(&reply, 0).host, "");
	/* nothing but impossible names */
	begin("\x81\x80", DNS_MX, 1, 0);
	RECORD("\x0f", "\0\0\1%" AT_QUESTION);
	CHECK(parse(DNS_MX, &reply));
	CHECK_INT(reply.count, 0);
	CHECK_INT(reply.rcode, DNS_FAIL_NAME);
	/* too short, and bytes behind the name */
	begin("\x81\x80", DNS_MX, 1, 0);
	RECORD("\x0f", "\0\0");
	CHECK(!parse(DNS_MX, &reply));
	begin("\x81\x80", DNS_MX, 1, 0);
	RECORD("\x0f", "\0\0\2mx\0x");
	CHECK(!parse(DNS_MX, &reply));
	dns_reply_done(&reply);
}

static void test_pointers(void)
{
	struct dns_reply reply;
	size_t at;

	dns_reply_init(&reply);
	begin("\x81\x80", DNS_PTR, 1, 0);
	at = buf_span(&packet).n + 12;
	/* a name that points to itself */
	BYTES(AT_QUESTION "\0\x0c\0\1\0\0\0\x3c\0\2\xc0");
	buf_char(&packet, (char)at);
	CHECK(!parse(DNS_PTR, &reply));
	/* a pointer behind the end */
	begin("\x81\x80", DNS_PTR, 1, 0);
	RECORD("\x0c", "\xff\xff");
	CHECK(!parse(DNS_PTR, &reply));
	dns_reply_done(&reply);
}

static void test_chain(void)
{
	struct dns_reply reply;

	dns_reply_init(&reply);
	begin("\x81\x80", DNS_A, 2, 0);
	RECORD("\5", "\1b" AT_QUESTION);
	BYTES("\1b" AT_QUESTION "\0\1\0\1\0\0\0\x1e\0\4\xc0\0\2\1");
	CHECK(parse(DNS_A, &reply));
	CHECK_INT(reply.count, 1);
	CHECK_INT(reply.chain, 1);
	CHECK_INT(reply.ttl_s, 30);
	CHECK_SPAN(buf_span(&reply.canonical), "b.a.test");
	/* an end that the reply does not have */
	begin("\x81\x80", DNS_A, 1, 0);
	RECORD("\5", "\1b" AT_QUESTION);
	CHECK(parse(DNS_A, &reply));
	CHECK(reply.is_open_chain);
	/* a circle */
	begin("\x81\x80", DNS_A, 1, 0);
	RECORD("\5", AT_QUESTION);
	CHECK(parse(DNS_A, &reply));
	CHECK_INT(reply.chain, DNS_CHAIN_MAX);
	CHECK_INT(reply.count, 0);
	dns_reply_done(&reply);
}

static void test_negative(void)
{
	struct dns_reply reply;

	dns_reply_init(&reply);
	begin("\x81\x83", DNS_A, 0, 1);
	RECORD("\6", "\0\0\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0\5");
	CHECK(parse(DNS_A, &reply));
	CHECK_INT(reply.rcode, 3);
	CHECK_INT(reply.ttl_s, 5);
	begin("\x81\x82", DNS_A, 0, 0);
	CHECK(parse(DNS_A, &reply));
	CHECK_INT(reply.rcode, 2);
	/* no reply; another question */
	begin("\x01\x80", DNS_A, 0, 0);
	CHECK(!parse(DNS_A, &reply));
	begin("\x81\x80", DNS_A, 0, 0);
	CHECK(!parse(DNS_MX, &reply));
	CHECK(!dns_reply_parse(buf_span(&packet), SPAN("b.test"), DNS_A, &reply));
	CHECK(!dns_reply_parse(SPAN("\0\0"), SPAN("a.test"), DNS_A, &reply));
	dns_reply_done(&reply);
}

static void test_text(void)
{
	struct dns_reply reply;

	dns_reply_init(&reply);
	begin("\x81\x80", DNS_TXT, 1, 0);
	RECORD("\x10", "\3one\0\3two");
	CHECK(parse(DNS_TXT, &reply));
	CHECK_SPAN(nth(&reply, 0).data, "onetwo");
	begin("\x81\x80", DNS_TXT, 1, 0);
	RECORD("\x10", "\4one");
	CHECK(!parse(DNS_TXT, &reply));
	dns_reply_done(&reply);
}

static void test_many_records(void)
{
	struct dns_reply reply;

	dns_reply_init(&reply);
	begin("\x81\x80", DNS_A, 120, 0);
	for (int i = 0; i < 120; i++)
		RECORD("\1", "\xc0\0\2\1");
	CHECK(parse(DNS_A, &reply));
	CHECK_INT(reply.count, DNS_RECORDS_MAX);
	CHECK(reply.is_cut);
	dns_reply_done(&reply);
}

static void test_resolv_conf(void)
{
	struct resolv_conf conf;
	char text[IP_TEXT_MAX];

	resolv_conf_parse(SPAN(""), &conf);
	CHECK_INT(conf.server_count, 1);
	CHECK_SPAN(ip_text(&conf.servers[0], text), "127.0.0.1");
	CHECK(conf.is_trusted);
	resolv_conf_parse(SPAN("# x\nnameserver 192.0.2.1\nnameserver\t::1 # y\nnameserver bad\n"
			       "options timeout:7 attempts:99 rotate timeout:x unknown\n"),
			  &conf);
	CHECK_INT(conf.server_count, 2);
	CHECK_INT(conf.timeout_s, 7);
	CHECK_INT(conf.attempts, 5);
	CHECK(conf.does_rotate);
	CHECK(!conf.is_trusted);
	resolv_conf_parse(SPAN("nameserver 192.0.2.1\noptions trust-ad"), &conf);
	CHECK(conf.is_trusted);
}

static void test_hosts(void)
{
	struct hosts hosts = { 0 };
	const struct hosts_entry *entry;
	struct ip_addr addr;

	hosts_parse(SPAN("127.0.0.1 localhost # c\n192.0.2.1\tHost.test host\n"
			 "2001:db8::1 host.test\nbad name\n192.0.2.2 b@d\n"),
		    &hosts);
	entry = hosts_file_find(&hosts, SPAN("HOST.test"));
	CHECK(entry != NULL && entry->next != NULL && entry->next->next == NULL);
	CHECK(entry->addr.family == IP_V4 && entry->next->addr.family == IP_V6);
	CHECK(ip_parse(SPAN("192.0.2.1"), &addr));
	CHECK_STR(hosts_name(&hosts, &addr), "host.test");
	CHECK(hosts_file_find(&hosts, SPAN("b@d")) == NULL);
	hosts_done(&hosts);
}

static void test_reverse_names(void)
{
	struct buf out = BUF_INIT(200);

	CHECK(dns_reverse_name(SPAN("192.0.2.1"), &out));
	CHECK_STR(buf_str(&out), "1.2.0.192.in-addr.arpa");
	buf_reset(&out);
	CHECK(dns_reverse_name(SPAN("2001:db8::1"), &out));
	CHECK_STR(buf_str(&out), "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."
				 "ip6.arpa");
	CHECK(!dns_reverse_name(SPAN("host"), &out));
	buf_done(&out);
}

/* ---- smtp_dns_reply_filter ---- */

enum { MIXED = 5 };

static void mix(struct msg_dns_record *records)
{
	const struct msg_dns_record mixed[MIXED] = {
		{ .name = SPAN("a.test"), .type = DNS_MX, .ttl_s = 60, .preference = 5, .host = SPAN("x.test") },
		{ .name = SPAN("a.test"), .type = DNS_A, .ttl_s = 1, .host = SPAN("192.0.2.1") },
		{ .name = SPAN("_s._tcp.a.test"), .type = DNS_SRV, .ttl_s = 9, .preference = 1, .weight = 2,
		  .port = 25, .host = SPAN("x.test") },
		{ .name = SPAN("a.test"), .type = DNS_TXT, .ttl_s = 9, .data = SPAN("v=spf1 -all") },
		{ .name = SPAN("_25._tcp.a.test"), .type = DNS_TLSA, .ttl_s = 9, .data = SPAN("\3\1\1\xab\x0c") },
	};

	memcpy(records, mixed, sizeof(mixed));
}

static void test_filter_text(void)
{
	static const char *const texts[] = {
		"a.test. 60 IN MX 5 x.test.",
		"a.test. 1 IN A 192.0.2.1",
		"_s._tcp.a.test. 9 IN SRV 1 2 25 x.test.",
		"a.test. 9 IN TXT v=spf1 -all",
		"_25._tcp.a.test. 9 IN TLSA 3 1 1 AB0C",
	};
	struct buf text = BUF_INIT(1000);
	struct msg_dns_record records[MIXED];

	mix(records);
	for (size_t i = 0; i < MIXED; i++) {
		buf_reset(&text);
		dns_filter_text(&records[i], &text);
		CHECK_STR(buf_str(&text), texts[i]);
	}
	buf_done(&text);
}

static void test_filter(void)
{
	static const struct {
		const char *table;
		size_t left;
		bool is_good;
	} rows[] = {
		{ "regexp:{{/ mx 5 x\\.test\\.$/ ignore}}", 4, true },
		{ "regexp:{{/ mx 5 x\\.test\\.$/ ok}}", 5, true },
		{ "static:IGNORE", 0, false },
		{ "fail:x", 5, false },
	};
	const char *reason;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct msg_dns_record records[MIXED];
		struct dns_result result = { .records = records, .count = MIXED };
		struct buf error = BUF_INIT(200);
		struct maps *maps = maps_open("filter", span_of(rows[i].table), TABLE_FOLD, &error);

		CHECK(maps != NULL);
		mix(records);
		dns_filter_set(maps);
		CHECK_INT(dns_filter_apply(&result, &reason), rows[i].is_good);
		if (rows[i].is_good || rows[i].left == 0)
			CHECK_INT(result.count, rows[i].left);
		maps_close(maps);
		buf_done(&error);
	}
}

static struct msg_dns_query ask_for(const char *name)
{
	return (struct msg_dns_query){ .name = span_of(name), .type = 1, .flags = 2 };
}

static void test_memory(void)
{
	struct msg_dns_query query = ask_for("a.test"), other = ask_for("a.test");
	struct msg_dns_answer answer = { .ttl_s = 3600, .is_secure = true, .records = SPAN("abc"),
					 .canonical_name = SPAN("b.test") };
	struct msg_dns_answer got;

	CHECK(!dns_memory_get(&query, &got));
	dns_memory_put(&query, &answer);
	CHECK(dns_memory_get(&query, &got));
	CHECK_SPAN(got.records, "abc");
	CHECK_SPAN(got.canonical_name, "b.test");
	CHECK(got.is_secure && got.ttl_s <= 5);
	other.type = 28;
	CHECK(!dns_memory_get(&other, &got));
	other = ask_for("a.test");
	other.flags = 0; /* who did not ask for security must not be told of it, nor the other way round */
	CHECK(!dns_memory_get(&other, &got));
	answer.records = SPAN("def");
	dns_memory_put(&query, &answer);
	CHECK(dns_memory_get(&query, &got));
	CHECK_SPAN(got.records, "def");
}

/* What is not kept: failures, what must not be kept, what is too big. */
static void test_memory_refuses(void)
{
	static char big[4096];
	const struct msg_dns_answer answers[] = {
		{ .ttl_s = 60, .rcode = 2 },
		{ .ttl_s = 60, .rcode = 65536 },
		{ .ttl_s = 0, .records = SPAN("abc") },
		{ .ttl_s = 60, .records = { big, sizeof(big) } },
	};
	struct msg_dns_query query = ask_for("refused.test");
	struct msg_dns_answer got;

	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		dns_memory_put(&query, &answers[i]);
		CHECK(!dns_memory_get(&query, &got));
	}
	dns_memory_put(&query, &(struct msg_dns_answer){ .ttl_s = 60, .rcode = 3 });
	CHECK(dns_memory_get(&query, &got));
	CHECK_INT(got.rcode, 3);
}

/* The oldest makes room. */
static void test_memory_is_small(void)
{
	struct msg_dns_answer answer = { .ttl_s = 60, .records = SPAN("abc") }, got;
	struct msg_dns_query query;
	char name[32];

	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "n%d.test", i);
		query = ask_for(name);
		dns_memory_put(&query, &answer);
	}
	CHECK(dns_memory_get(&query, &got));
	query = ask_for("n0.test");
	CHECK(!dns_memory_get(&query, &got));
}

int main(void)
{
	TEST(question);
	TEST(addresses);
	TEST(mx);
	TEST(pointers);
	TEST(chain);
	TEST(negative);
	TEST(text);
	TEST(many_records);
	TEST(resolv_conf);
	TEST(hosts);
	TEST(reverse_names);
	TEST(filter_text);
	TEST(filter);
	TEST(memory);
	TEST(memory_refuses);
	TEST(memory_is_small);
	buf_done(&packet);
	return test_end();
}
