/* SPDX-License-Identifier: MIT */
/* Addresses in log lines; see log_address.h. Runs in every daemon, on addresses from anybody. */

#include "mail/log_address.h"

#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "conf/conf.h"
#include "mail/addr.h"

enum { QUOTED_MAX = 8192 };

const char *log_address(struct span address)
{
	struct buf quoted;
	const char *text;

	if (strcmp(conf->info_log_address_format, "internal") == 0)
		return log_clean(address);
	buf_init(&quoted, QUOTED_MAX);
	text = log_clean(addr_quote(&quoted, address) ? buf_span(&quoted) : address);
	buf_done(&quoted);
	return text;
}
