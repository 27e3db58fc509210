/* SPDX-License-Identifier: MIT */
/* The snapshot that a service reads. */

#include "conf/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *wrong = conf_snapshot_parse((struct span){ (const char *)data, size }, false);

	(void)wrong;
	return 0;
}
