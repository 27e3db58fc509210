/* SPDX-License-Identifier: MIT */
/* MAIL and RCPT arguments, DSN values, server replies. */

#include "base/buf.h"
#include "mail/smtp_cmd.h"
#include "mail/smtp_reply.h"
#include "mail/xtext.h"
#include "test.h"

enum { ALL = SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_SMTPUTF8 | SMTP_EXT_DSN | SMTP_EXT_AUTH };

static const struct command_case {
	const char *args;
	enum smtp_cmd_status lax;
	enum smtp_cmd_status strict;
} mail_cases[] = {
	{ "FROM:<a@d.test>", SMTP_CMD_OK, SMTP_CMD_OK },
	{ "from:<>", SMTP_CMD_OK, SMTP_CMD_OK },
	{ "FROM: <a@d.test>", SMTP_CMD_OK, SMTP_CMD_BAD_ADDRESS },
	{ "", SMTP_CMD_SYNTAX, SMTP_CMD_SYNTAX },
	{ "FROM", SMTP_CMD_SYNTAX, SMTP_CMD_SYNTAX },
	{ "FROM:", SMTP_CMD_SYNTAX, SMTP_CMD_SYNTAX },
	{ "FROM <a@d.test>", SMTP_CMD_SYNTAX, SMTP_CMD_SYNTAX },
	{ "FROM : <a@d.test>", SMTP_CMD_SYNTAX, SMTP_CMD_SYNTAX },
	{ "FROMX:<a@d.test>", SMTP_CMD_SYNTAX, SMTP_CMD_SYNTAX },
	{ "TO:<a@d.test>", SMTP_CMD_SYNTAX, SMTP_CMD_SYNTAX },
	{ "FROM:<a@d.test", SMTP_CMD_BAD_ADDRESS, SMTP_CMD_BAD_ADDRESS },
	{ "FROM:<a@d.test>x y", SMTP_CMD_BAD_ADDRESS, SMTP_CMD_BAD_ADDRESS },
	{ "FROM:<a@d.test> x y", SMTP_CMD_UNKNOWN, SMTP_CMD_UNKNOWN },
	{ "FROM:<a@d.test> SIZE=10 body=8bitmime smtputf8", SMTP_CMD_OK, SMTP_CMD_OK },
	{ "FROM:<a@\xc3\xa9.test> SMTPUTF8", SMTP_CMD_OK, SMTP_CMD_OK },
	{ "FROM:<\"a b\"@d.test> SIZE=3", SMTP_CMD_OK, SMTP_CMD_OK },
	{ "FROM:<a@d.test> SIZE", SMTP_CMD_UNKNOWN, SMTP_CMD_UNKNOWN },
	{ "FROM:<a@d.test> SIZE=", SMTP_CMD_BAD_VALUE, SMTP_CMD_BAD_VALUE },
	{ "FROM:<a@d.test> SIZE=-1", SMTP_CMD_BAD_VALUE, SMTP_CMD_BAD_VALUE },
	{ "FROM:<a@d.test> SIZE=99999999999999999999", SMTP_CMD_TOO_BIG, SMTP_CMD_TOO_BIG },
	{ "FROM:<a@d.test> SIZE=5 SIZE=6", SMTP_CMD_OK, SMTP_CMD_BAD_VALUE },
	{ "FROM:<a@d.test> BODY=x", SMTP_CMD_UNKNOWN, SMTP_CMD_UNKNOWN },
	{ "FROM:<a@d.test> BODY=BINARYMIME", SMTP_CMD_UNKNOWN, SMTP_CMD_UNKNOWN },
	{ "FROM:<a@d.test> RET=FULL RET=HDRS", SMTP_CMD_BAD_VALUE, SMTP_CMD_BAD_VALUE },
	{ "FROM:<a@d.test> RET=x", SMTP_CMD_BAD_VALUE, SMTP_CMD_BAD_VALUE },
	{ "FROM:<a@d.test> ENVID=a+2Bb", SMTP_CMD_OK, SMTP_CMD_OK },
	{ "FROM:<a@d.test> ENVID=a+", SMTP_CMD_BAD_VALUE, SMTP_CMD_BAD_VALUE },
	{ "FROM:<a@d.test> ENVID=a+0Ab", SMTP_CMD_BAD_VALUE, SMTP_CMD_BAD_VALUE },
	{ "FROM:<a@d.test> AUTH=<>", SMTP_CMD_OK, SMTP_CMD_OK },
	{ "FROM:<a@d.test> XVERP", SMTP_CMD_OK, SMTP_CMD_UNKNOWN },
	{ "FROM:<a@d.test> xverp==+", SMTP_CMD_OK, SMTP_CMD_UNKNOWN },
	{ "FROM:<a@d.test> XVERP=", SMTP_CMD_BAD_VALUE, SMTP_CMD_UNKNOWN },
	{ "FROM:<a@d.test> XVERP=+", SMTP_CMD_BAD_VALUE, SMTP_CMD_UNKNOWN },
	{ "FROM:<a@d.test> XVERP=+=-", SMTP_CMD_BAD_VALUE, SMTP_CMD_UNKNOWN },
	{ "FROM:<a@d.test> XVERP=+%", SMTP_CMD_BAD_VALUE, SMTP_CMD_UNKNOWN },
	{ "FROM:<a@d.test> NOTIFY=NEVER", SMTP_CMD_UNKNOWN, SMTP_CMD_UNKNOWN },
	{ "FROM:<a@d.test> =", SMTP_CMD_UNKNOWN, SMTP_CMD_UNKNOWN },
};

static const struct command_case rcpt_cases[] = {
	{ "TO:<a@d.test>", SMTP_CMD_OK, SMTP_CMD_OK },
	{ "TO:<>", SMTP_CMD_BAD_ADDRESS, SMTP_CMD_BAD_ADDRESS },
	{ "TO:<> FOO", SMTP_CMD_BAD_ADDRESS, SMTP_CMD_BAD_ADDRESS },
	{ "TO:<a@d.test> NOTIFY=SUCCESS,delay ORCPT=rfc822;a+2Bb", SMTP_CMD_OK, SMTP_CMD_OK },
	{ "TO:<a@d.test> NOTIFY=NEVER,SUCCESS", SMTP_CMD_BAD_VALUE, SMTP_CMD_BAD_VALUE },
	{ "TO:<a@d.test> NOTIFY=", SMTP_CMD_BAD_VALUE, SMTP_CMD_BAD_VALUE },
	{ "TO:<a@d.test> NOTIFY=SUCCESS NOTIFY=FAILURE", SMTP_CMD_BAD_VALUE, SMTP_CMD_BAD_VALUE },
	{ "TO:<a@d.test> ORCPT=x", SMTP_CMD_BAD_VALUE, SMTP_CMD_BAD_VALUE },
	{ "TO:<a@d.test> ORCPT=;x", SMTP_CMD_BAD_VALUE, SMTP_CMD_BAD_VALUE },
	{ "TO:<a@d.test> ORCPT=rfc822;a+0Ab", SMTP_CMD_BAD_VALUE, SMTP_CMD_BAD_VALUE },
	{ "TO:<a@d.test> ORCPT=utf-8;a\\x{0A}b", SMTP_CMD_BAD_VALUE, SMTP_CMD_BAD_VALUE },
	{ "TO:<a@d.test> ORCPT=utf-8;a\\x{E9}b", SMTP_CMD_OK, SMTP_CMD_OK },
	{ "TO:<a@d.test> SIZE=3", SMTP_CMD_UNKNOWN, SMTP_CMD_UNKNOWN },
};

static const struct smtp_cmd_rules lax = { .ext = ALL | SMTP_EXT_XVERP,
					  .is_lax = true,
					  .verp_delimiters = { "-=+", 3 } };
static const struct smtp_cmd_rules strict = { .ext = ALL,
					     .addr_flags = SMTP_ADDR_STRICT |
							   SMTP_ADDR_EXACT };

static void test_mail(void)
{
	struct buf words = BUF_INIT(10000);
	struct smtp_mail mail;
	struct span bad;

	for (size_t i = 0; i < ARRAY_LEN(mail_cases); i++) {
		struct span args = span_of(mail_cases[i].args);
		int got_lax = (int)smtp_mail_parse(args, &lax, &words, &mail, &bad);
		int got_strict = (int)smtp_mail_parse(args, &strict, &words, &mail, &bad);

		if (got_lax != (int)mail_cases[i].lax || got_strict != (int)mail_cases[i].strict)
			printf("# MAIL %s: %d %d\n", mail_cases[i].args, got_lax, got_strict);
		CHECK(got_lax == (int)mail_cases[i].lax && got_strict == (int)mail_cases[i].strict);
	}
	CHECK_INT(smtp_mail_parse(SPAN("FROM:<s@x.test> SIZE=7 BODY=8BITMIME RET=HDRS ENVID=q+2B "
				       "AUTH=e+3Dmc2@example.com"),
				  &lax, &words, &mail, &bad),
		  SMTP_CMD_OK);
	CHECK_SPAN(mail.sender, "s@x.test");
	CHECK_SPAN(mail.envid, "q+2B");
	CHECK_SPAN(mail.auth, "e=mc2@example.com");
	CHECK_INT(mail.size_bytes, 7);
	CHECK_INT(mail.body, SMTP_BODY_8BITMIME);
	CHECK_INT(mail.ret, DSN_RET_HDRS);
	CHECK_INT(smtp_mail_parse(SPAN("FROM:<s@x.test> RET=z"), &lax, &words, &mail, &bad),
		  SMTP_CMD_BAD_VALUE);
	CHECK_SPAN(bad, "RET");
	CHECK_INT(smtp_mail_parse(SPAN("FROM:<s@x.test> FOO=z"), &lax, &words, &mail, &bad),
		  SMTP_CMD_UNKNOWN);
	CHECK_SPAN(bad, "FOO=z");
	buf_done(&words);
}

static void test_many_parameters(void)
{
	struct buf words = BUF_INIT(10000), line = BUF_INIT(10000);
	struct smtp_mail mail;
	struct span bad;

	buf_text(&line, "FROM:<a@d.test>");
	for (int i = 0; i < SMTP_CMD_PARAMS_MAX; i++)
		buf_text(&line, " SIZE=1");
	CHECK_INT(smtp_mail_parse(buf_span(&line), &lax, &words, &mail, &bad), SMTP_CMD_OK);
	buf_text(&line, " SIZE=1");
	CHECK_INT(smtp_mail_parse(buf_span(&line), &lax, &words, &mail, &bad), SMTP_CMD_TOO_MANY);
	buf_done(&words);
	buf_done(&line);
}

static void test_rcpt(void)
{
	struct buf words = BUF_INIT(10000);
	struct smtp_rcpt rcpt;
	struct span bad;

	for (size_t i = 0; i < ARRAY_LEN(rcpt_cases); i++) {
		struct span args = span_of(rcpt_cases[i].args);
		int got_lax = (int)smtp_rcpt_parse(args, &lax, &words, &rcpt, &bad);
		int got_strict = (int)smtp_rcpt_parse(args, &strict, &words, &rcpt, &bad);

		if (got_lax != (int)rcpt_cases[i].lax || got_strict != (int)rcpt_cases[i].strict)
			printf("# RCPT %s: %d %d\n", rcpt_cases[i].args, got_lax, got_strict);
		CHECK(got_lax == (int)rcpt_cases[i].lax && got_strict == (int)rcpt_cases[i].strict);
	}
	CHECK_INT(smtp_rcpt_parse(SPAN("TO:<r@x.test> NOTIFY=SUCCESS ORCPT=utf-8;a\\x{E9}b"), &lax,
				  &words, &rcpt, &bad),
		  SMTP_CMD_OK);
	CHECK_SPAN(rcpt.recipient, "r@x.test");
	CHECK_SPAN(rcpt.orcpt, "utf-8;a\xc3\xa9" "b");
	CHECK_INT(rcpt.notify, DSN_NOTIFY_SUCCESS);
	buf_done(&words);
}

static void test_xtext(void)
{
	struct buf out = BUF_INIT(1000);

	xtext_encode(&out, SPAN("a+b=c d\xc3"));
	CHECK_SPAN(buf_span(&out), "a+2Bb+3Dc+20d+C3");
	buf_reset(&out);
	utf8_xtext_encode(&out, SPAN("a\xc3\xa9\\ \xf0\x9f\x98\x80"));
	CHECK_SPAN(buf_span(&out), "a\\x{E9}\\x{5C}\\x{20}\\x{1F600}");
	buf_reset(&out);
	CHECK(utf8_xtext_decode(&out, SPAN("\\x{1F600}\\x{E9}")));
	CHECK_SPAN(buf_span(&out), "\xf0\x9f\x98\x80\xc3\xa9");
	CHECK(!utf8_xtext_decode(&out, SPAN("\\x{D800}")));
	CHECK(!utf8_xtext_decode(&out, SPAN("\\x{1}")));
	CHECK(!utf8_xtext_decode(&out, SPAN("\\x{41")));
	buf_done(&out);
}

static void test_dsn(void)
{
	static const struct {
		const char *text;
		const char *status;
		const char *reason;
	} cases[] = {
		{ "5.1.1 no such user", "5.1.1", "no such user" },
		{ "5.7.2", "5.7.2", "" },
		{ "5.7.2 ", "5.7.2", "" },
		{ "no code", "5.0.0", "no code" },
		{ "5.1 text", "5.0.0", "5.1 text" },
		{ "5.1.1234 text", "5.0.0", "5.1.1234 text" },
		{ "3.1.1 text", "5.0.0", "3.1.1 text" },
		{ "5.1.1text", "5.0.0", "5.1.1text" },
		{ "5.123.123\ttext", "5.123.123", "text" },
		{ "5.1.", "5.0.0", "5.1." },
		{ "", "5.0.0", "" },
	};
	char status[DSN_STATUS_SIZE];
	struct span reason;
	unsigned notify;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		dsn_split(span_of(cases[i].text), "5.0.0", status, &reason);
		CHECK_STR(status, cases[i].status);
		CHECK_SPAN(reason, cases[i].reason);
	}
	dsn_split_for_code(SPAN("5.7.9 go away"), 450, "7.1", status, &reason);
	CHECK_STR(status, "4.7.9");
	dsn_split_for_code(SPAN("go away"), 554, "7.1", status, &reason);
	CHECK_STR(status, "5.7.1");
	dsn_soften(status);
	CHECK_STR(status, "4.7.1");
	CHECK(dsn_notify_parse(SPAN("success,FAILURE,"), &notify));
	CHECK_INT(notify, DSN_NOTIFY_SUCCESS | DSN_NOTIFY_FAILURE);
	CHECK(!dsn_notify_parse(SPAN("x"), &notify));
	CHECK(dsn_wants(0, DSN_FAILED) && dsn_wants(0, DSN_DELAYED) &&
	      !dsn_wants(0, DSN_DELIVERED));
	CHECK(!dsn_wants(DSN_NOTIFY_NEVER, DSN_FAILED));
}

static void test_dsn_fields(void)
{
	struct buf out = BUF_INIT(1000);

	dsn_typed_field(&out, "Diagnostic-Code", "smtp", SPAN("550 x\r\nEvil: 1"));
	CHECK_SPAN(buf_span(&out), "Diagnostic-Code: smtp; 550 x??Evil: 1\n");
	buf_reset(&out);
	dsn_orcpt_encode(&out, SPAN("rfc822;a+b@c"));
	CHECK_SPAN(buf_span(&out), "rfc822;a+2Bb@c");
	buf_done(&out);
}

static void test_replies(void)
{
	static const struct {
		const char *line;
		enum smtp_reply_step step;
		int code;
		const char *status;
	} cases[] = {
		{ "250 ok", SMTP_REPLY_DONE, 250, "2.0.0" },
		{ "250", SMTP_REPLY_DONE, 250, "2.0.0" },
		{ "550 5.1.1 no", SMTP_REPLY_DONE, 550, "5.1.1" },
		{ "550 5.7.2", SMTP_REPLY_DONE, 550, "5.7.2" },
		{ "450 5.1.1 no", SMTP_REPLY_DONE, 450, "4.0.0" },
		{ "354 2.0.0 go", SMTP_REPLY_DONE, 354, "" },
		{ "250-more", SMTP_REPLY_MORE, 0, "" },
		{ "250-", SMTP_REPLY_MORE, 0, "" },
		{ "25", SMTP_REPLY_BAD, 0, "" },
		{ "999 x", SMTP_REPLY_BAD, 0, "" },
		{ "150 x", SMTP_REPLY_BAD, 0, "" },
		{ "2500 x", SMTP_REPLY_BAD, 0, "" },
		{ "25x x", SMTP_REPLY_BAD, 0, "" },
		{ "", SMTP_REPLY_BAD, 0, "" },
	};
	struct smtp_reply reply;

	smtp_reply_init(&reply);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		smtp_reply_reset(&reply);
		CHECK_INT(smtp_reply_line(&reply, span_of(cases[i].line)), cases[i].step);
		CHECK_INT(reply.code, cases[i].code);
		CHECK_STR(reply.status, cases[i].status);
	}
	smtp_reply_reset(&reply);
	CHECK_INT(smtp_reply_line(&reply, SPAN("553-a\0b\xff")), SMTP_REPLY_MORE);
	CHECK_INT(smtp_reply_line(&reply, SPAN("553 5.7.1 \xc3\xa9 x\ny")), SMTP_REPLY_DONE);
	CHECK_STR(buf_str(&reply.text), "553-a?b? 553 5.7.1 \xc3\xa9 x?y");
	CHECK_STR(reply.status, "5.7.1");
	smtp_reply_reset(&reply);
	for (int i = 0; i < SMTP_REPLY_LINES_MAX; i++)
		CHECK_INT(smtp_reply_line(&reply, SPAN("250-x")), SMTP_REPLY_MORE);
	CHECK_INT(smtp_reply_line(&reply, SPAN("250-x")), SMTP_REPLY_BAD);
	smtp_reply_done(&reply);
}

int main(void)
{
	TEST(mail);
	TEST(many_parameters);
	TEST(rcpt);
	TEST(xtext);
	TEST(dsn);
	TEST(dsn_fields);
	TEST(replies);
	return test_end();
}
