/* SPDX-License-Identifier: MIT */
/* Templates of notifications: parsing and expanding any text. */

#include <stddef.h>
#include <stdint.h>

#include "conf/load.h"
#include "services/bounce/template.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct template template = { .text = "" };
	struct buf out = BUF_INIT(1024 * 1024);
	char *text = mem_dup((struct span){ (const char *)data, size });

	conf_values_reset();
	template_load("fuzz", (struct span){ (const char *)data, size });
	template.text = text;
	template_expand(&template, &out);
	buf_done(&out);
	free(text);
	return 0;
}
