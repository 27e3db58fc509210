/* SPDX-License-Identifier: MIT */
/* SASL: mechanisms with the vectors of their RFCs, Dovecot's lines, the file of users, bans. */

#include <stdlib.h>

#include "net/bans.h"
#include "sasl/client.h"
#include "sasl/dovecot.h"
#include "sasl/passwd.h"
#include "sasl/plain.h"
#include "sasl/scram.h"
#include "test.h"

/* ---- mechanisms and options ---- */

static void test_options(void)
{
	static const struct sasl_mechanism plain = { "PLAIN", SASL_PLAINTEXT };
	static const struct sasl_mechanism scram = { "SCRAM-SHA-256",
						     SASL_DICTIONARY | SASL_MUTUAL_AUTH };
	struct sasl_options options;
	struct span unknown;

	CHECK(sasl_options_parse(SPAN("noanonymous, NoPlaintext"), &options, &unknown));
	CHECK(!sasl_is_allowed(&options, &plain));
	CHECK(sasl_is_allowed(&options, &scram));
	CHECK(sasl_options_parse(SPAN("mutual_auth"), &options, &unknown));
	CHECK(!sasl_is_allowed(&options, &plain));
	CHECK(sasl_is_allowed(&options, &scram));
	CHECK(sasl_options_parse(SPAN(""), &options, &unknown));
	CHECK(sasl_is_allowed(&options, &plain));
	CHECK(!sasl_options_parse(SPAN("noplaintext nothing"), &options, &unknown));
	CHECK_SPAN(unknown, "nothing");
}

static void test_mechanisms(void)
{
	struct sasl_mechanisms list = { .count = 0 };

	CHECK(sasl_mechanisms_add(&list, SPAN("cram-md5"), 0));
	CHECK(sasl_mechanism_find(&list, SPAN("Cram-MD5")) == &list.list[0]);
	CHECK_STR(list.list[0].name, "CRAM-MD5");
	CHECK(!sasl_mechanisms_add(&list, SPAN(""), 0));
	CHECK(!sasl_mechanisms_add(&list, SPAN("A B"), 0));
	CHECK(!sasl_mechanisms_add(&list, SPAN("ABCDEFGHIJKLMNOPQRSTU"), 0));
	while (list.count < SASL_MECHANISMS_MAX)
		CHECK(sasl_mechanisms_add(&list, SPAN("X"), 0));
	CHECK(!sasl_mechanisms_add(&list, SPAN("Y"), 0));
}

/* RFC 4616 4. */
static void test_plain(void)
{
	struct sasl_plain plain;

	CHECK(sasl_plain_parse(SPAN("\0tim\0tanstaaftanstaaf"), &plain));
	CHECK_SPAN(plain.authentication, "tim");
	CHECK_SPAN(plain.password, "tanstaaftanstaaf");
	CHECK_INT(plain.authorization.n, 0);
	CHECK(sasl_plain_parse(SPAN("Ursel\0Kurt\0xipj3plmq"), &plain));
	CHECK_SPAN(plain.authorization, "Ursel");
	CHECK(!sasl_plain_parse(SPAN("tim\0x"), &plain));
	CHECK(!sasl_plain_parse(SPAN("\0tim\0"), &plain));
	CHECK(!sasl_plain_parse(SPAN("\0\0x"), &plain));
	CHECK(!sasl_plain_parse(SPAN("\0a\0b\0c"), &plain));
	CHECK(!sasl_plain_parse(SPAN(""), &plain));
}

/* ---- SCRAM: RFC 5802 5, RFC 7677 3 ---- */

static const struct {
	enum scram_hash hash;
	const char *nonce, *first, *challenge, *final, *verifier;
} vectors[] = {
	{ SCRAM_SHA1, "fyko+d2lbbFgONRv9qkxdawL", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
	  "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
	  "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
	  "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=" },
	{ SCRAM_SHA256, "rOprNGfwEbeRWgbNEkqO", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	  "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	  "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	  "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
	  "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" },
};

static void test_scram(void)
{
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct buf out = BUF_INIT(4096);
		struct scram scram;

		scram_first(&scram, vectors[i].hash, SPAN("user"), vectors[i].nonce, &out);
		CHECK_STR(buf_str(&out), vectors[i].first);
		buf_reset(&out);
		CHECK(scram_final(&scram, span_of(vectors[i].challenge), SPAN("pencil"), &out));
		CHECK_STR(buf_str(&out), vectors[i].final);
		CHECK(scram_verify(&scram, span_of(vectors[i].verifier)));
		CHECK(!scram_verify(&scram, SPAN("v=AAAA")));
		CHECK(!scram_verify(&scram, SPAN("e=other-error")));
		CHECK(!scram_verify(&scram, SPAN("")));
		scram_done(&scram);
		buf_done(&out);
	}
}

static void test_scram_refuses(void)
{
	static const char *const challenges[] = {
		"", "r=abc,s=QUFB,i=4096", "r=abd1,s=QUFB,i=4096", "r=abc1,s=,i=4096",
		"r=abc1,s=Q,i=4096", "r=abc1,s=QUFB,i=4095", "r=abc1,s=QUFB,i=1000001",
		"r=abc1,s=QUFB,i=-1", "r=abc1,s=QUFB", "m=x,r=abc1,s=QUFB,i=4096",
		"s=QUFB,r=abc1,i=4096", "e=unknown-user",
	};
	struct buf out = BUF_INIT(4096);
	struct scram scram;

	scram_first(&scram, SCRAM_SHA256, SPAN("a=b,c"), "abc", &out);
	CHECK_STR(buf_str(&out), "n,,n=a=3Db=2Cc,r=abc");
	for (size_t i = 0; i < ARRAY_LEN(challenges); i++)
		CHECK(!scram_final(&scram, span_of(challenges[i]), SPAN("x"), &out));
	scram_done(&scram);
	buf_done(&out);
}

/* ---- the client's choice and words ---- */

static struct sasl_mechanisms offer_of(const char *names)
{
	struct sasl_mechanisms offer = { .count = 0 };
	struct span rest = span_of(names), word;

	while ((word = span_word(&rest, " ")).n > 0)
		(void)!sasl_mechanisms_add(&offer, word, 0);
	return offer;
}

static void test_choice(void)
{
	static const struct {
		const char *offer, *options, *name;
		bool is_token;
	} cases[] = {
		{ "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256", "", "SCRAM-SHA-256", false },
		{ "LOGIN PLAIN", "", "PLAIN", false },
		{ "LOGIN PLAIN", "noplaintext", NULL, false },
		{ "PLAIN CRAM-MD5", "noplaintext", "CRAM-MD5", false },
		{ "PLAIN CRAM-MD5 SCRAM-SHA-1", "mutual_auth", "SCRAM-SHA-1", false },
		{ "PLAIN XOAUTH2 OAUTHBEARER", "", "PLAIN", false },
		{ "PLAIN XOAUTH2 OAUTHBEARER", "", "OAUTHBEARER", true },
		{ "XOAUTH2", "", "XOAUTH2", false },
		{ "PLAIN", "", NULL, true },
		{ "GSSAPI EXTERNAL", "", NULL, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sasl_mechanisms offer = offer_of(cases[i].offer);
		struct sasl_login login = { .is_token = cases[i].is_token };
		const struct sasl_client_mechanism *mechanism;
		struct sasl_options options;
		struct span unknown;

		CHECK(sasl_options_parse(span_of(cases[i].options), &options, &unknown));
		mechanism = sasl_client_choose(&offer, &options, &login);
		CHECK_STR(mechanism != NULL ? sasl_client_name(mechanism) : NULL, cases[i].name);
	}
}

/* RFC 2195 2. */
static void test_cram_md5(void)
{
	struct sasl_login login = { .user = SPAN("tim"), .password = SPAN("tanstaaftanstaaf") };
	struct sasl_mechanisms offer = offer_of("CRAM-MD5");
	struct sasl_options options = { 0 };
	struct buf out = BUF_INIT(1000);
	struct sasl_client client;

	CHECK(!sasl_client_start(&client, sasl_client_choose(&offer, &options, &login), &login, &out));
	CHECK(sasl_client_answer(&client, SPAN("<1896.697170952@postoffice.reston.mci.net>"), &out));
	CHECK_STR(buf_str(&out), "tim b913a602c7eda7a495b4e6e7334d3890");
	CHECK(sasl_client_is_satisfied(&client));
	CHECK(!sasl_client_answer(&client, SPAN("again"), &out));
	sasl_client_done(&client);
	buf_done(&out);
}

/* RFC 7628 4.1. */
static void test_oauthbearer(void)
{
	struct sasl_login login = { .user = SPAN("user@example.com"), .password = SPAN("vF9dft4qmTc2"),
				    .host = "server.example.com", .port = 143, .is_token = true };
	struct sasl_mechanisms offer = offer_of("OAUTHBEARER");
	struct sasl_options options = { 0 };
	struct buf out = BUF_INIT(1000);
	struct sasl_client client;

	CHECK(sasl_client_start(&client, sasl_client_choose(&offer, &options, &login), &login, &out));
	CHECK_STR(buf_str(&out), "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
				 "auth=Bearer vF9dft4qmTc2\x01\x01");
	buf_reset(&out);
	CHECK(sasl_client_answer(&client, SPAN("{\"status\":\"invalid_token\"}"), &out));
	CHECK_STR(buf_str(&out), "\x01");
	sasl_client_done(&client);
	buf_done(&out);
}

/* ---- Dovecot ---- */

static void test_dovecot_greeting(void)
{
	struct dovecot_greeting greeting = { .is_done = false };

	CHECK(dovecot_greeting_line(&greeting, SPAN("VERSION\t1\t2")));
	CHECK(dovecot_greeting_line(&greeting, SPAN("MECH\tPLAIN\tplaintext")));
	CHECK(dovecot_greeting_line(&greeting, SPAN("MECH\tDOVECOT-TOKEN\tprivate")));
	CHECK(dovecot_greeting_line(&greeting, SPAN("MECH\tSCRAM-SHA-1\tdictionary\tmutual-auth")));
	CHECK(dovecot_greeting_line(&greeting, SPAN("MECH\t")));
	CHECK(dovecot_greeting_line(&greeting, SPAN("COOKIE\tabc")));
	CHECK(!greeting.is_done);
	CHECK(dovecot_greeting_line(&greeting, SPAN("DONE")));
	CHECK(greeting.is_done);
	CHECK_INT(greeting.mechanisms.count, 2);
	CHECK_INT(greeting.mechanisms.list[1].properties, SASL_DICTIONARY | SASL_MUTUAL_AUTH);
	CHECK(!dovecot_greeting_line(&greeting, SPAN("VERSION\t2\t0")));
	CHECK(!dovecot_greeting_line(&greeting, SPAN("MECH\tA\0B")));
	CHECK(!dovecot_greeting_line(&greeting, SPAN("")));
}

static void test_dovecot_request(void)
{
	struct dovecot_request request = {
		.id = 7, .mechanism = "PLAIN", .service = "smtp", .local_addr = "192.0.2.1",
		.local_port = "25", .remote_addr = "2001:db8::1", .remote_port = "",
		.is_secured = true, .has_response = true, .response = SPAN("AGEAYg=="),
	};
	struct buf out = BUF_INIT(1000);

	CHECK(dovecot_auth_line(&out, &request));
	CHECK_STR(buf_str(&out), "AUTH\t7\tPLAIN\tservice=smtp\tnologin\tlip=192.0.2.1\trip=2001:db8::1"
				 "\tlport=25\tsecured\tresp=AGEAYg==\n");
	buf_done(&out);
}

static void test_dovecot_answers(void)
{
	static const struct {
		const char *line, *user, *reason, *challenge;
		enum dovecot_kind kind;
		bool is_temporary;
	} cases[] = {
		{ "OK\t7\tuser=alice\tmore=x", "alice", "", "", DOVECOT_OK, false },
		{ "OK\t7", "", "", "", DOVECOT_BAD, false },
		{ "OK\t\tuser=alice", "", "", "", DOVECOT_BAD, false },
		{ "OK\tx\tuser=alice", "", "", "", DOVECOT_BAD, false },
		{ "CONT\t7\tPDE+", "", "", "PDE+", DOVECOT_CONT, false },
		{ "CONT\t7\t", "", "", "", DOVECOT_CONT, false },
		{ "CONT\t7", "", "", "", DOVECOT_CONT, false },
		{ "CONT\t7\t!", "", "", "!", DOVECOT_BAD, false },
		{ "FAIL\t7", "", "", "", DOVECOT_FAIL, false },
		{ "FAIL\t7\tuser=a\ttemp\treason=no luck", "a", "no luck", "", DOVECOT_FAIL, true },
		{ "FAIL\t7\tcode=temp_fail", "", "", "", DOVECOT_FAIL, true },
		{ "NOTFOUND\t7", "", "", "", DOVECOT_OTHER, false },
		{ "", "", "", "", DOVECOT_BAD, false },
	};
	struct dovecot_answer answer;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CHECK_INT(dovecot_answer_parse(span_of(cases[i].line), &answer), cases[i].kind);
		CHECK_SPAN(answer.user, cases[i].user);
		CHECK_SPAN(answer.reason, cases[i].reason);
		CHECK_SPAN(answer.challenge, cases[i].challenge);
		CHECK_INT(answer.is_temporary, cases[i].is_temporary);
	}
}

/* ---- the file of users ---- */

static void test_passwd(void)
{
	char password[PASSWD_PASSWORD_MAX + 2];
	/* The last is bcrypt's own test vector. */
	static const char text[] =
		"# users\n\nbad line\nalice:$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/"
		"O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1:extra\n"
		"bob:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n"
		"locked:*\nalice:$6$other$x\n:x\n";
	struct passwd_file file = { .sample = NULL };
	size_t first_bad = 0;

	CHECK_INT(passwd_parse(&file, SPAN(text), &first_bad), 2);
	CHECK_INT(first_bad, 3);
	CHECK_INT(passwd_check(&file, SPAN("alice"), SPAN("Hello world!")), LOGIN_YES);
	CHECK_INT(passwd_check(&file, SPAN("alice"), SPAN("Hello world")), LOGIN_NO);
	CHECK_INT(passwd_check(&file, SPAN("alice"), SPAN("Hello world!\0x")), LOGIN_NO);
	CHECK_INT(passwd_check(&file, SPAN("alice"), SPAN("")), LOGIN_NO);
	/* crypt(3) fails for longer ones: that is no fault of ours. */
	memset(password, 'x', sizeof(password));
	for (size_t n = PASSWD_PASSWORD_MAX - 1; n <= sizeof(password); n++)
		CHECK_INT(passwd_check(&file, SPAN("alice"), (struct span){ password, n }), LOGIN_NO);
	CHECK_INT(passwd_check(&file, SPAN("bob"), SPAN("U*U")), LOGIN_YES);
	CHECK_INT(passwd_check(&file, SPAN("locked"), SPAN("*")), LOGIN_NO);
	CHECK_INT(passwd_check(&file, SPAN("nobody"), SPAN("Hello world!")), LOGIN_NO);
	passwd_done(&file);
	CHECK_INT(passwd_check(&file, SPAN("alice"), SPAN("Hello world!")), LOGIN_NO);
}

static void test_passwd_edit(void)
{
	char *hash = passwd_hash(SPAN("secret"));
	struct passwd_file file = { .sample = NULL };
	struct buf out = BUF_INIT(10000);
	bool was_there;
	size_t bad;

	CHECK(hash != NULL && span_starts(span_of(hash), SPAN("$y$")));
	passwd_edit(SPAN("# a\nal:x\nbob:y"), SPAN("al"), hash, &out, &was_there);
	CHECK(was_there);
	CHECK_INT(passwd_parse(&file, buf_span(&out), &bad), 0);
	CHECK_INT(passwd_check(&file, SPAN("al"), SPAN("secret")), LOGIN_YES);
	buf_reset(&out);
	passwd_edit(SPAN("# a\nal:x\nbob:y"), SPAN("al"), NULL, &out, &was_there);
	CHECK_STR(buf_str(&out), "# a\nbob:y\n");
	buf_reset(&out);
	passwd_edit(SPAN("bob:y\n"), SPAN("al"), "z", &out, &was_there);
	CHECK(!was_there);
	CHECK_STR(buf_str(&out), "bob:y\nal:z\n");
	CHECK(!passwd_is_name(SPAN("a:b")));
	CHECK(!passwd_is_name(SPAN("#a")));
	CHECK(!passwd_is_name(SPAN("a b")));
	CHECK(passwd_is_name(SPAN("a@b.c")));
	passwd_done(&file);
	buf_done(&out);
	free(hash);
}

/* ---- bans ---- */

static int64_t find(struct bans *bans, const char *text, int64_t now_s)
{
	char net[BAN_TEXT_MAX];
	struct ip_addr addr;

	return ip_parse(span_of(text), &addr) ? bans_find(bans, &addr, now_s, net) : -1;
}

static void test_bans(void)
{
	struct bans bans = { .v4 = { 0 } }, copy = { .v4 = { 0 } };
	struct htab_slot *cursor = NULL;
	struct buf text = BUF_INIT(10000);

	bans_read(&bans, SPAN("192.0.2.1 200\n198.51.100.0/24 300\n2001:db8:1:2::/64 400\nx y\n"), 100);
	CHECK_INT(find(&bans, "192.0.2.1", 100), 200);
	CHECK_INT(find(&bans, "192.0.2.1", 200), 0);
	CHECK_INT(find(&bans, "192.0.2.2", 100), 0);
	CHECK_INT(find(&bans, "198.51.100.99", 100), 300);
	CHECK_INT(find(&bans, "2001:db8:1:2:3::4", 100), 400);
	CHECK_INT(find(&bans, "2001:db8:1:3::", 100), 0);
	CHECK(!bans_lines(&bans, &cursor, 10000, &text));
	bans_read(&copy, buf_span(&text), 100);
	CHECK_INT(copy.nets.count, 3);
	bans_read(&bans, SPAN("198.51.100.0/24 0\n"), 100);
	CHECK_INT(find(&bans, "198.51.100.99", 100), 0);
	bans_expire(&bans, 250);
	CHECK_INT(bans.nets.count, 1);
	CHECK_INT(bans.v4[32], 0);
	bans_done(&bans);
	bans_done(&copy);
	buf_done(&text);
}

int main(void)
{
	TEST(options);
	TEST(mechanisms);
	TEST(plain);
	TEST(scram);
	TEST(scram_refuses);
	TEST(choice);
	TEST(cram_md5);
	TEST(oauthbearer);
	TEST(dovecot_greeting);
	TEST(dovecot_request);
	TEST(dovecot_answers);
	TEST(passwd);
	TEST(passwd_edit);
	TEST(bans);
	return test_end();
}
