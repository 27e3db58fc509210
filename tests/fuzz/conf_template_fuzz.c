/* SPDX-License-Identifier: MIT */
/* Template files of delivery status notices. */

#include "conf/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_report report = { 0 };
	struct conf_templates templates;

	conf_templates_init(&templates);
	conf_templates_parse(&templates, (struct span){ (const char *)data, size }, "fuzz", &report);
	conf_templates_done(&templates);
	return 0;
}
