/* SPDX-License-Identifier: MIT */
/* $name in forward_path, luser_relay and argv=. */

#include "deliver/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool value_of(void *context, struct span name, struct span *ret)
{
	(void)context;
	*ret = name;
	return name.n % 2 == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out = BUF_INIT(65536);

	(void)!expand_text(&out, (struct span){ (const char *)data, size }, "abc", value_of, NULL, NULL);
	buf_done(&out);
	return 0;
}
