/* SPDX-License-Identifier: MIT */
/* Tables of the parameters smtp_..., which are lmtp_... where the program is lmtp. Before the jail. */

#include "smtp.h"

#include "base/log.h"
#include "conf/conf.h"

struct tables tables;

struct maps *tables_open_maps(const char *name, const char *list)
{
	struct buf title = BUF_INIT(128), error = BUF_INIT(1024);
	struct maps *maps;

	(void)buf_printf(&title, "%s_%s", is_lmtp ? "lmtp" : "smtp", name);
	maps = maps_open(buf_str(&title), span_of(list), TABLE_IN_JAIL | TABLE_FOLD, &error);
	if (maps == NULL)
		fatal("%s: %s", buf_str(&title), buf_str(&error));
	buf_done(&title);
	buf_done(&error);
	return maps;
}

void tables_open(void)
{
	tables.generic = tables_open_maps("generic_maps", conf->smtp_generic_maps);
	tables.header_checks = tables_open_maps("header_checks", conf->smtp_header_checks);
	tables.mime_header_checks =
		tables_open_maps("mime_header_checks", conf->smtp_mime_header_checks);
	tables.nested_header_checks =
		tables_open_maps("nested_header_checks", conf->smtp_nested_header_checks);
	tables.body_checks = tables_open_maps("body_checks", conf->smtp_body_checks);
	tables.discard_ehlo = tables_open_maps("discard_ehlo_keyword_address_maps",
					       conf->smtp_discard_ehlo_keyword_address_maps);
	tables.reply_filter = tables_open_maps("reply_filter", conf->smtp_reply_filter);
	tables.dns_reply_filter = tables_open_maps("dns_reply_filter", conf->smtp_dns_reply_filter);
	tables.pix_workarounds =
		tables_open_maps("pix_workaround_maps", conf->smtp_pix_workaround_maps);
}
