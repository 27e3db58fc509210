/* SPDX-License-Identifier: MIT */
/* Addresses of configured servers: what is parsed lies within the text. */

#include <stdlib.h>

#include "net/endpoint.h"

static void check_within(struct span part, const uint8_t *data, size_t size)
{
	const char *start = (const char *)data;

	if (part.n > 0 && (part.p < start || part.p + part.n > start + size))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct endpoint endpoint = { 0 };

	if (!endpoint_parse((struct span){ (const char *)data, size }, &endpoint))
		return 0;
	check_within(endpoint.path, data, size);
	check_within(endpoint.host, data, size);
	check_within(endpoint.port, data, size);
	if (endpoint.is_unix ? endpoint.path.n == 0 : endpoint.host.n == 0 || endpoint.port.n == 0)
		abort();
	return 0;
}
