/* SPDX-License-Identifier: MIT */
/* master.cf. */

#include "conf/master_cf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_report report = { 0 };
	struct master_cf table = { 0 };

	master_cf_parse(&table, (struct span){ (const char *)data, size }, &report);
	master_cf_done(&table);
	return 0;
}
