/* SPDX-License-Identifier: MIT */
/* The attributes of a connection that another process passes to a service of type pass. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/ip.h"
#include "proc/pass.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct passed passed = { 0 };
	struct ip_addr addr;

	if (size > PASS_BYTES_MAX || !pass_parse((struct span){ (const char *)data, size }, &passed))
		return 0;
	if (passed.client_addr.n > 0 &&
	    (!ip_parse(passed.client_addr, &addr) || !ip_parse(passed.server_addr, &addr)))
		abort();
	return 0;
}
