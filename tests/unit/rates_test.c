/* SPDX-License-Identifier: MIT */
/* Rates of clients, and the PROXY header that says who the client is. */

#include <stdlib.h>

#include "net/proxy.h"
#include "net/rates.h"
#include "test.h"

static struct clock_mono at_s(int64_t seconds)
{
	return (struct clock_mono){ seconds * 1000000 };
}

static void test_window(void)
{
	struct rates rates;

	rates_init(&rates, 10, 60000);
	CHECK_INT(rates_add(&rates, SPAN("a"), RATE_MESSAGE, at_s(100)), 1);
	CHECK_INT(rates_add(&rates, SPAN("a"), RATE_MESSAGE, at_s(130)), 2);
	CHECK_INT(rates_add(&rates, SPAN("a"), RATE_RECIPIENT, at_s(131)), 1);
	CHECK_INT(rates_add(&rates, SPAN("b"), RATE_MESSAGE, at_s(131)), 1);
	CHECK_INT(rates_add(&rates, SPAN("a"), RATE_MESSAGE, at_s(159)), 3);
	/* The window began with the first event, and takes all kinds with it. */
	CHECK_INT(rates_add(&rates, SPAN("a"), RATE_MESSAGE, at_s(160)), 1);
	CHECK_INT(rates_add(&rates, SPAN("a"), RATE_RECIPIENT, at_s(161)), 1);
	rates_done(&rates);
}

static void test_bound(void)
{
	struct rates rates;
	char name[24];

	rates_init(&rates, 100, 60000);
	(void)rates_add(&rates, SPAN("kept"), RATE_MESSAGE, at_s(1));
	for (int i = 0; i < 10000; i++) {
		(void)snprintf(name, sizeof(name), "flood%d", i);
		(void)rates_add(&rates, span_of(name), RATE_CONNECTION, at_s(1));
		if (i % 50 == 0)
			(void)rates_add(&rates, SPAN("kept"), RATE_MESSAGE, at_s(1));
	}
	CHECK_INT(rates_clients(&rates), 100);
	CHECK_INT(rates_add(&rates, SPAN("kept"), RATE_MESSAGE, at_s(1)), 202);
	CHECK_INT(rates_add(&rates, SPAN("flood0"), RATE_CONNECTION, at_s(1)), 1);
	rates_done(&rates);
}

static void test_client(void)
{
	static const struct {
		const char *addr;
		int v4_bits, v6_bits;
		const char *name;
	} cases[] = {
		{ "192.0.2.77", 32, 84, "192.0.2.77" },
		{ "192.0.2.77", 24, 84, "192.0.2.0/24" },
		{ "192.0.2.77", 0, 0, "0.0.0.0/0" },
		{ "2001:db8:1:2:3fff:ffff::7", 32, 84, "2001:db8:1:2:3fff:f000::/84" },
		{ "2001:db8::7", 32, 128, "2001:db8::7" },
		{ "2001:db8::7", 24, 1000, "2001:db8::7" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[RATES_CLIENT_MAX];
		struct ip_addr addr;

		CHECK(ip_parse(span_of(cases[i].addr), &addr));
		rates_client(&addr, cases[i].v4_bits, cases[i].v6_bits, name);
		CHECK_STR(name, cases[i].name);
	}
}

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define V4_BYTES "\xc0\0\2\1" "\xc0\0\2\2" "\x04\xd2" "\0\x19"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2"
#define MAPPED_BYTES MAPPED "\1" MAPPED "\2"
#define V6_BYTES "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2"
#define CASE(bytes, status, client, port) { bytes, sizeof(bytes) - 1, status, client, port }

static const struct {
	const char *bytes;
	size_t size;
	enum proxy_status status;
	const char *client, *port;
} headers[] = {
	CASE("PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n", PROXY_CLIENT, "192.0.2.1", "1234"),
	CASE("PROXY TCP6 2001:DB8::1 ::1 65535 25\r\n", PROXY_CLIENT, "2001:db8::1", "65535"),
	CASE("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:202 7 25\r\n", PROXY_CLIENT, "192.0.2.1", "7"),
	CASE("PROXY UNKNOWN\r\n", PROXY_LOCAL, "", ""),
	CASE("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", PROXY_LOCAL, "", ""),
	CASE("P", PROXY_MORE, "", ""),
	CASE("PROXY TCP4 192.0.2.1", PROXY_MORE, "", ""),
	CASE("PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\n", PROXY_BAD, "", ""),
	CASE("PROXY TCP4 192.0.2.1 192.0.2.2 1234 25 1\r\n", PROXY_BAD, "", ""),
	CASE("PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n", PROXY_BAD, "", ""),
	CASE("PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n", PROXY_BAD, "", ""),
	CASE("PROXY TCP4 ::1 ::1 1234 25\r\n", PROXY_BAD, "", ""),
	CASE("PROXY TCP5 192.0.2.1 192.0.2.2 1234 25\r\n", PROXY_BAD, "", ""),
	CASE("PROXY TCP4 192.0.2.1\0 192.0.2.2 1234 25\r\n", PROXY_BAD, "", ""),
	CASE("PROXY\r\n", PROXY_BAD, "", ""),
	CASE("EHLO a\r\n", PROXY_BAD, "", ""),
	CASE(V2 "\x21\x11\0\x0c" V4_BYTES, PROXY_CLIENT, "192.0.2.1", "1234"),
	CASE(V2 "\x21\x11\0\x0f" V4_BYTES "\4\0\0", PROXY_CLIENT, "192.0.2.1", "1234"),
	CASE(V2 "\x21\x21\0\x24" V6_BYTES "\0\1\0\x19", PROXY_CLIENT, "2001:db8::1", "1"),
	CASE(V2 "\x21\x21\0\x24" MAPPED_BYTES "\0\1\0\x19", PROXY_CLIENT, "192.0.2.1", "1"),
	CASE(V2 "\x20\0\0\0", PROXY_LOCAL, "", ""),
	CASE(V2 "\x20\x11\0\x0c" V4_BYTES, PROXY_LOCAL, "", ""),
	CASE(V2, PROXY_MORE, "", ""),
	CASE(V2 "\x21\x11\0\x0c\xc0\0\2\1", PROXY_MORE, "", ""),
	CASE(V2 "\x21\x11\0\x0b" V4_BYTES, PROXY_BAD, "", ""),
	CASE(V2 "\x21\x12\0\x0c" V4_BYTES, PROXY_BAD, "", ""),
	CASE(V2 "\x11\x11\0\x0c" V4_BYTES, PROXY_BAD, "", ""),
	CASE(V2 "\x21\x11\xff\xff" V4_BYTES, PROXY_BAD, "", ""),
};

static void test_proxy(void)
{
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		/* What follows the header is no part of it. */
		char bytes[256];
		size_t size = headers[i].size, header_size = 0;
		bool is_whole = headers[i].status == PROXY_CLIENT || headers[i].status == PROXY_LOCAL;
		struct proxied found = { .client_addr = "" };

		memcpy(bytes, headers[i].bytes, size);
		if (is_whole) {
			memcpy(bytes + size, "EHLO x\r\n", 8);
			size += 8;
		}
		CHECK_INT(proxy_parse((struct span){ bytes, size }, &found, &header_size),
			  headers[i].status);
		CHECK_STR(found.client_addr, headers[i].client);
		CHECK_STR(found.client_port, headers[i].port);
		if (is_whole)
			CHECK_INT(header_size, headers[i].size);
	}
}

/* A line without an end is not waited for without end. */
static void test_proxy_long(void)
{
	char bytes[200] = "PROXY TCP4 ";
	struct proxied found;
	size_t size;

	memset(bytes + 11, '1', sizeof(bytes) - 11);
	CHECK_INT(proxy_parse((struct span){ bytes, 106 }, &found, &size), PROXY_MORE);
	CHECK_INT(proxy_parse((struct span){ bytes, 107 }, &found, &size), PROXY_BAD);
}

int main(void)
{
	TEST(window);
	TEST(bound);
	TEST(client);
	TEST(proxy);
	TEST(proxy_long);
	return test_end();
}
