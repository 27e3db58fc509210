/* SPDX-License-Identifier: MIT */
/* resolv.conf(5) and hosts(5) of any bytes. */

#include "net/resolv_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	struct resolv_conf conf;
	struct hosts hosts = { 0 };

	resolv_conf_parse(text, &conf);
	hosts_parse(text, &hosts);
	(void)hosts_file_find(&hosts, SPAN("localhost"));
	hosts_done(&hosts);
	return 0;
}
