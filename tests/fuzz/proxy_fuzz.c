/* SPDX-License-Identifier: MIT */
/* The PROXY header, as it comes in one piece and in parts. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = { (const char *)data, size };
	struct proxied found, again;
	size_t header = 0, length = 0;
	enum proxy_status status;
	struct ip_addr addr;

	if (size == 0 || size > 4096)
		return 0;
	status = proxy_parse(input, &found, &header);
	if (status == PROXY_BAD || status == PROXY_MORE)
		return 0;
	if (header > size || header > PROXY_HEADER_MAX)
		abort();
	if (status == PROXY_CLIENT && (!ip_parse(span_of(found.client_addr), &addr) ||
				       !ip_parse(span_of(found.server_addr), &addr)))
		abort();
	/* Less than the header is never enough, and never wrong. */
	for (size_t part = 1; part < header; part++)
		if (proxy_parse(span_first(input, part), &again, &length) != PROXY_MORE)
			abort();
	return 0;
}
