/* SPDX-License-Identifier: MIT */
/* lib/net/port.h */

#include "test.h"

#include "net/port.h"

static void test_ports(void)
{
	static const char known[] = "lmtp=24, smtp=25,\tsmtps=submissions=465, odd=0, bad=x";
	static const struct {
		const char *text;
		int port; /* 0: none */
	} rows[] = {
		{ "25", 25 }, { "65535", 65535 }, { "65536", 0 }, { "0", 0 }, { "-1", 0 },
		{ "25x", 0 }, { "", 0 }, { "smtp", 25 }, { "SMTP", 25 }, { "submissions", 465 },
		{ "smtps", 465 }, { "465=smtps", 0 }, { "odd", 0 }, { "bad", 0 },
		{ "no-such-port-anywhere", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint16_t port = 0;
		bool is_found = port_find(span_of(rows[i].text), span_of(known), &port);

		CHECK_INT(is_found, rows[i].port != 0);
		CHECK_INT(port, rows[i].port);
	}
}

int main(void)
{
	TEST(ports);
	return test_end();
}
