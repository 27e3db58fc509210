/* SPDX-License-Identifier: MIT */
/*
 * Results of address maps; see expand.h. Runs in cleanup and smtp, on what tables say.
 * canonical(5), virtual(5), generic(5).
 */

#include "route/expand.h"

#include "mail/addr.h"
#include "mail/addr_list.h"

enum { ADDRESS_LIMIT = 65536 };

bool route_expand(const struct route_config *config, struct span value, struct span address,
		  struct span suffix, route_expand_fn *each, void *context)
{
	struct buf plain = BUF_INIT(ADDRESS_LIMIT), full = BUF_INIT(ADDRESS_LIMIT);
	struct buf result = BUF_INIT(ADDRESS_LIMIT);
	struct addr_list list;
	struct addr_item item;
	bool is_good = true;

	addr_list_init(&list, value);
	while (is_good && addr_list_next(&list, &item)) {
		buf_reset(&plain);
		buf_reset(&full);
		buf_reset(&result);
		addr_item_internal(&plain, &item);
		if (span_starts(buf_span(&plain), SPAN("@"))) {
			buf_add(&result, addr_split(address).local);
			buf_add(&result, buf_span(&plain));
			buf_set(&plain, buf_span(&result));
			buf_reset(&result);
		}
		is_good = route_rewrite(config, ROUTE_LOCAL, buf_span(&plain), &full) &&
			  !buf_is_over(&plain);
		if (is_good && buf_span(&full).n > 0)
			is_good = addr_ext_join(&result, buf_span(&full), suffix) &&
				  each(context, buf_span(&result));
	}
	buf_done(&plain);
	buf_done(&full);
	buf_done(&result);
	return is_good;
}
