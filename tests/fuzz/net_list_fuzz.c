/* SPDX-License-Identifier: MIT */
/*
 * smtpd/front/net_list.h: LIST NUL ADDRESS. What front decides on its own, table/match.h, by which smtpd
 * decides, says as well.
 */

#include <stdlib.h>

#include "smtpd/front/net_list.h"
#include "table/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compare(struct span text, struct span address, enum exemption found)
{
	struct buf error = BUF_INIT(4096);
	struct match_list *match = match_open("fuzz", text, MATCH_CLIENT, 0, &error);

	if (match == NULL || match_client(match, NULL, SPAN(""), address) !=
				     (found == EXEMPT_YES ? MATCH_YES : MATCH_NO))
		abort();
	match_close(match);
	buf_done(&error);
}

static void try_address(const struct net_list *list, struct span text, struct span address)
{
	struct ip_addr addr;
	enum exemption found;

	if (!ip_parse(address, &addr))
		return;
	found = net_list_find(list, &addr);
	if ((found == EXEMPT_PERHAPS && list->is_whole) || (found == EXEMPT_YES && list->count == 0))
		abort();
	/* A list that is not whole may have names of files. */
	if (list->is_whole)
		compare(text, address, found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size }, address = { NULL, 0 };
	struct net_list list;

	if (size > 65536)
		return 0;
	(void)span_cut(text, '\0', &text, &address);
	list = net_list_parse(text);
	for (size_t i = 0; i < list.count; i++)
		if (list.patterns[i].net.prefix_bits > (list.patterns[i].net.addr.family == IP_V4 ? 32 : 128))
			abort();
	try_address(&list, text, address);
	try_address(&list, text, SPAN("192.0.2.1"));
	try_address(&list, text, SPAN("2001:db8::7"));
	free(list.patterns);
	return 0;
}
