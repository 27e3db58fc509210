/* SPDX-License-Identifier: MIT */
/* Rewriting and resolving of any address with a domain of ours and one elsewhere. */

#include <stdlib.h>

#include "route/expand.h"
#include "route/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const results[] = { "t:h", ":h", "t:", "x", "" };
static unsigned chosen;

static enum route_status find(void *context UNUSED, enum route_maps maps,
			      struct span key, bool is_partial UNUSED,
			      struct span *ret_value)
{
	if (key.n == 0)
		abort();
	/* What is found, and where, is chosen by the key and by the first byte. */
	if (((unsigned char)key.p[0] + key.n) % 4 != 0 || (chosen & 32) == 0)
		return ROUTE_NOT_FOUND;
	*ret_value = span_of(results[(key.n + (size_t)maps) % ARRAY_LEN(results)]);
	return ret_value->n > 0 ? ROUTE_OK : ROUTE_ERROR;
}

static bool each(void *context UNUSED, struct span address)
{
	return address.n > 0;
}

static enum route_status match(void *context UNUSED, enum route_list list, struct span domain)
{
	if ((chosen & 64) != 0 && domain.n % 7 == (size_t)list)
		return ROUTE_OK;
	if ((chosen & 128) != 0 && domain.n % 11 == (size_t)list)
		return ROUTE_ERROR;
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
		.default_transport = SPAN("smtp"), .virtual_transport = SPAN("virtual"),
		.relay_transport = SPAN("relay"),
	};
	struct span address = { (const char *)data + 1, size - 1 };
	struct buf full = BUF_INIT(1 << 20);
	struct route route;
	enum route_status status;

	if (size < 1 || size > 10000)
		return 0;
	chosen = data[0];
	config.swap_bangpath = (data[0] & 1) != 0;
	config.allow_percent_hack = (data[0] & 2) != 0;
	config.resolve_dequoted_address = (data[0] & 4) != 0;
	config.resolve_null_domain = (data[0] & 8) != 0;
	config.resolve_numeric_domain = (data[0] & 16) != 0;
	route_init(&route);
	route_rewrite(&config, ROUTE_LOCAL, address, &full);
	status = route_resolve(&config, &lookups, SPAN("s@x"), buf_span(&full), &route);
	if (status == ROUTE_OK && (buf_span(&route.transport).n == 0 || buf_span(&route.recipient).n == 0))
		abort();
	if (chosen < 32 && (status != ROUTE_OK || buf_span(&route.nexthop).n == 0))
		abort();
	(void)route_expand(&config, address, SPAN("u@d"), span_first(SPAN("+x"), data[0] % 3), each, NULL);
	route_done(&route);
	buf_done(&full);
	return 0;
}
