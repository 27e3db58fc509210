/* SPDX-License-Identifier: MIT */
/* Template files of delivery status notices. */

#include "conf/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_report report = { 0 };
	struct conf_templates templates;
	struct conf_dict dict = { 0 };
	struct conf_scope scope = { .main = &dict, .config_directory = "/etc" };

	conf_templates_init(&templates);
	conf_templates_parse(&templates, (struct span){ (const char *)data, size }, "fuzz", &report);
	for (size_t i = 0; i < CONF_TEMPLATE_COUNT; i++) {
		struct buf text = BUF_INIT(1 << 20);
		char error[CONF_EXPAND_ERROR_MAX];

		(void)!conf_template_expand(&templates.list[i], &scope, &text, error);
		buf_done(&text);
	}
	conf_templates_done(&templates);
	return 0;
}
