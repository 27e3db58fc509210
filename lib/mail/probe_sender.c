/* SPDX-License-Identifier: MIT */
/* Senders of address probes; see probe_sender.h. Runs in verify, smtpd and qmgr. */

#include "mail/probe_sender.h"

#include <inttypes.h>

#include "base/buf.h"
#include "mail/addr.h"

static int64_t period(struct clock_wall now, int ttl_s)
{
	return ttl_s > 0 ? now.us / 1000000 / ttl_s : 0;
}

static bool is_null(struct span configured)
{
	return configured.n == 0 || span_is(configured, "<>");
}

bool probe_sender(struct buf *out, struct span configured, int ttl_s, struct clock_wall now)
{
	struct addr parts = addr_split(configured);

	if (is_null(configured))
		return true;
	if (ttl_s == 0)
		return buf_add(out, configured);
	(void)buf_add(out, parts.local);
	(void)buf_printf(out, "%" PRId64, period(now, ttl_s));
	return buf_add(out, span_from(configured, parts.local.n));
}

/* What stands behind the configured local part is the number of a period near to this one. */
static bool is_near(struct span number, int ttl_s, struct clock_wall now)
{
	int64_t this = period(now, ttl_s);
	uint64_t other;

	if (ttl_s == 0)
		return number.n == 0;
	return span_u64(number, INT64_MAX, &other) && (int64_t)other >= this - 1 &&
	       (int64_t)other <= this + 1;
}

bool probe_sender_is(struct span address, struct span configured, struct span origin, int ttl_s,
		     struct clock_wall now)
{
	struct addr parts = addr_split(address), own = addr_split(configured);

	return !is_null(configured) &&
	       span_eq_nocase(parts.domain, own.has_domain ? own.domain : origin) &&
	       span_starts_nocase(parts.local, own.local) &&
	       is_near(span_from(parts.local, own.local.n), ttl_s, now);
}
