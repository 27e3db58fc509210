/* SPDX-License-Identifier: MIT */
/* Rewriting and resolving of any address with a domain of ours and one elsewhere. */

#include <stdlib.h>

#include "route/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum route_status find(void *context UNUSED, enum route_maps maps UNUSED,
			      struct span key, bool is_partial UNUSED,
			      struct span *ret_value UNUSED)
{
	if (key.n == 0)
		abort();
	return ROUTE_NOT_FOUND;
}

static enum route_status match(void *context UNUSED, enum route_list list, struct span domain)
{
	return list == ROUTE_MYDESTINATION && span_is(domain, "l") ? ROUTE_OK : ROUTE_NOT_FOUND;
}

static bool is_own_address(void *context UNUSED, const struct ip_addr *addr UNUSED)
{
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct route_lookups lookups = {
		NULL, { true, true, true, true }, find, match, is_own_address
	};
	struct route_config config = {
		.myhostname = SPAN("l"), .mydomain = SPAN("d"), .myorigin = SPAN("o"),
		.empty_address_recipient = SPAN("MAILER-DAEMON"), .ext = { SPAN("+-"), true },
		.append_at_myorigin = true, .local_transport = SPAN("local"),
		.default_transport = SPAN("smtp"),
	};
	struct span address = { (const char *)data + 1, size - 1 };
	struct buf full = BUF_INIT(1 << 20);
	struct route route;

	if (size < 1 || size > 10000)
		return 0;
	config.swap_bangpath = (data[0] & 1) != 0;
	config.allow_percent_hack = (data[0] & 2) != 0;
	config.resolve_dequoted_address = (data[0] & 4) != 0;
	config.resolve_null_domain = (data[0] & 8) != 0;
	config.resolve_numeric_domain = (data[0] & 16) != 0;
	route_init(&route);
	route_rewrite(&config, ROUTE_LOCAL, address, &full);
	if (route_resolve(&config, &lookups, SPAN("s@x"), buf_span(&full), &route) != ROUTE_OK ||
	    buf_span(&route.transport).n == 0 || buf_span(&route.nexthop).n == 0 ||
	    buf_span(&route.recipient).n == 0)
		abort();
	route_done(&route);
	buf_done(&full);
	return 0;
}
