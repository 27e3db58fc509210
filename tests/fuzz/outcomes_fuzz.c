/* SPDX-License-Identifier: MIT */
/* Reading a log of outcomes that anything may have happened to. */

#include <stddef.h>
#include <stdint.h>

#include "queue/outcomes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size };
	struct msg_outcome outcome;

	while (queue_outcomes_next(&rest, &outcome))
		if (outcome.reason.n > size)
			__builtin_trap();
	return 0;
}
