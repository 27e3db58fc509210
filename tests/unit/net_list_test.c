/* SPDX-License-Identifier: MIT */
/* smtpd/front/net_list.h: which clients front may let pass, or not, without asking smtpd. */

#include "test.h"

#include <stdlib.h>

#include "smtpd/front/net_list.h"

static void test_lists(void)
{
	static const struct {
		const char *list, *address;
		enum exemption expected;
	} cases[] = {
		{ "", "192.0.2.1", EXEMPT_NO },
		{ "192.0.2.0/24", "192.0.2.1", EXEMPT_YES },
		{ "192.0.2.0/24", "2001:db8::1", EXEMPT_NO },
		{ "!192.0.2.1, 192.0.2.0/24", "192.0.2.1", EXEMPT_NO },
		{ "!!192.0.2.1", "192.0.2.1", EXEMPT_YES },
		{ "[2001:db8::]/32 [::1]", "2001:db8::1", EXEMPT_YES },
		/* A name or a table decides what no network has decided before. */
		{ "192.0.2.0/24 .a.test", "192.0.2.1", EXEMPT_YES },
		{ "192.0.2.0/24 .a.test", "198.51.100.1", EXEMPT_PERHAPS },
		{ "hash:/x 192.0.2.0/24", "192.0.2.1", EXEMPT_PERHAPS },
		{ "192.0.2.1/24", "192.0.2.1", EXEMPT_PERHAPS },
		/* In a list of patterns that is the table "db8::/32" of type "2001". */
		{ "2001:db8::/32", "2001:db8::1", EXEMPT_PERHAPS },
	};
	struct ip_addr addr;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct net_list list = net_list_parse(span_of(cases[i].list));

		CHECK(ip_parse(span_of(cases[i].address), &addr));
		CHECK_INT(net_list_find(&list, &addr), cases[i].expected);
		free(list.patterns);
	}
}

int main(void)
{
	TEST(lists);
	return test_end();
}
