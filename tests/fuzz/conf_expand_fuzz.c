/* SPDX-License-Identifier: MIT */
/* $name in values. */

#include "conf/expand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_scope scope = { .config_directory = "/etc/postern" };
	struct buf value = BUF_INIT(CONF_VALUE_MAX);
	char error[CONF_EXPAND_ERROR_MAX];

	if (!conf_expand(&scope, (struct span){ (const char *)data, size }, &value, error, NULL, NULL))
		buf_reset(&value);
	buf_done(&value);
	return 0;
}
