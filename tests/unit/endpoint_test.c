/* SPDX-License-Identifier: MIT */
/* lib/net/endpoint.c: addresses of configured servers. */

#include "net/endpoint.h"
#include "test.h"

static void test_parse(void)
{
	static const struct {
		const char *text;
		bool is_good, is_unix;
		const char *first, *port; /* path, or host and port */
	} rows[] = {
		{ "unix:private/policy", true, true, "private/policy", "" },
		{ "unix:/run/a:b", true, true, "/run/a:b", "" },
		{ "inet:127.0.0.1:10031", true, false, "127.0.0.1", "10031" },
		{ "inet:policy.example:submission", true, false, "policy.example", "submission" },
		{ "inet:[2001:db8::1]:25", true, false, "2001:db8::1", "25" },
		{ "inet:10031", false, false, "", "" },
		{ "inet::10031", false, false, "", "" },
		{ "inet:host:", false, false, "", "" },
		{ "unix:", false, false, "", "" },
		{ "tcp:host:25", false, false, "", "" },
		{ "host:25", false, false, "", "" },
		{ "", false, false, "", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct endpoint endpoint = { 0 };

		CHECK_INT(endpoint_parse(span_of(rows[i].text), &endpoint), rows[i].is_good);
		if (!rows[i].is_good)
			continue;
		CHECK_INT(endpoint.is_unix, rows[i].is_unix);
		CHECK_SPAN(endpoint.is_unix ? endpoint.path : endpoint.host, rows[i].first);
		CHECK_SPAN(endpoint.port, rows[i].port);
	}
}

/* A seal is good for one text and one secret. */
static void test_seal(void)
{
	struct siphash_key key = endpoint_seal_key(SPAN("secret")), other = endpoint_seal_key(SPAN("Secret"));
	uint64_t seal = endpoint_seal(&key, SPAN("unix:/run/lmtp"));

	CHECK(seal == endpoint_seal(&key, SPAN("unix:/run/lmtp")));
	CHECK(seal != endpoint_seal(&key, SPAN("unix:/run/lmtq")));
	CHECK(seal != endpoint_seal(&other, SPAN("unix:/run/lmtp")));
}

int main(void)
{
	TEST(parse);
	TEST(seal);
	return test_end();
}
