/* SPDX-License-Identifier: MIT */
/*
 * The keys that protect session tickets, the same for all workers of smtpd: what tlsmgr(8) does in
 * Postfix. One is used for as long as a session may be resumed, and read for as long again; then it
 * is forgotten. They live in memory alone. RFC 5077 5.5.
 */

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "conf/conf.h"
#include "keysign.h"

static struct {
	char keys[2 * TLS_TICKET_BYTES]; /* newest first */
	size_t count;
	struct clock_mono rotates;
} self;

struct span tickets_now(void)
{
	int life_s = conf->smtpd_tls_session_cache_timeout;

	if (self.count == 0 || clock_is_past(self.rotates)) {
		/* Silence for two lives means that the old one is of no use either. */
		bool is_fresh = self.count > 0 &&
				!clock_is_past(clock_add_ms(self.rotates, (int64_t)life_s * 1000));

		if (is_fresh)
			memcpy(self.keys + TLS_TICKET_BYTES, self.keys, TLS_TICKET_BYTES);
		if (getrandom(self.keys, TLS_TICKET_BYTES, 0) != TLS_TICKET_BYTES)
			fatal("getrandom: %s", strerror(errno));
		self.count = is_fresh ? 2 : 1;
		self.rotates = clock_in_ms((int64_t)life_s * 1000);
	}
	return (struct span){ self.keys, self.count * TLS_TICKET_BYTES };
}
