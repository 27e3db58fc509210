/* SPDX-License-Identifier: MIT */
/* main.cf: parsing, expansion and checks of whatever it sets. */

#include "conf/check.h"
#include "conf/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_dict dict = { 0 };
	struct conf_report report = { 0 };
	struct conf_scope scope = { .main = &dict, .config_directory = "/etc/postern" };
	struct conf_usage usage;

	conf_dict_parse(&dict, (struct span){ (const char *)data, size }, &report);
	conf_evaluate(&scope, CONF_EVERYBODY, &report, NULL, NULL);
	conf_evaluate_named(&scope, CONF_EVERYBODY, &report, NULL, NULL);
	conf_usage_init(&usage, &dict, NULL);
	conf_usage_report(&usage, true, true, &report);
	conf_usage_done(&usage);
	conf_dict_done(&dict);
	return 0;
}
