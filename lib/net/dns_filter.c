/* SPDX-License-Identifier: MIT */
/*
 * Filters of DNS records; see dns_filter.h. Runs in smtpd, smtp and lmtp. The records are from
 * anybody; the dns service has checked names and addresses in them.
 */

#include "net/dns_filter.h"

#include "table/maps.h"

enum { RECORD_TEXT_MAX = 70000 };

static struct maps *filter;

void dns_filter_set(struct maps *maps)
{
	filter = maps;
	dns_use_filter(maps_is_empty(maps) ? NULL : dns_filter_apply);
}

void dns_filter_text(const struct msg_dns_record *record, struct buf *out)
{
	enum dns_type type = (enum dns_type)record->type;

	(void)buf_printf(out, "%.*s. %u IN %s ", SPAN_ARG(record->name), record->ttl_s,
			 dns_type_name(type));
	switch (type) {
	case DNS_A:
	case DNS_AAAA:
		(void)buf_add(out, record->host);
		return;
	case DNS_MX:
		(void)buf_printf(out, "%u %.*s.", record->preference, SPAN_ARG(record->host));
		return;
	case DNS_SRV:
		(void)buf_printf(out, "%u %u %u %.*s.", record->preference, record->weight,
				 record->port, SPAN_ARG(record->host));
		return;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR:
		(void)buf_printf(out, "%.*s.", SPAN_ARG(record->host));
		return;
	case DNS_TXT:
		(void)buf_add(out, record->data);
		return;
	case DNS_TLSA:
		for (size_t i = 0; i < record->data.n; i++)
			(void)buf_printf(out, i < 3 ? "%u " : "%02X",
					 (unsigned)(unsigned char)record->data.p[i]);
		return;
	}
}

bool dns_filter_apply(struct dns_result *result, const char **ret_reason)
{
	struct buf text;
	struct span action;
	enum table_status status = TABLE_NOT_FOUND;
	size_t kept = 0;

	buf_init(&text, RECORD_TEXT_MAX);
	for (size_t i = 0; i < result->count && status != TABLE_ERROR; i++) {
		buf_reset(&text);
		dns_filter_text(&result->records[i], &text);
		status = maps_find(filter, NULL, buf_span(&text), false, &action);
		if (status != TABLE_FOUND || !span_is_nocase(action, "IGNORE"))
			result->records[kept++] = result->records[i];
	}
	buf_done(&text);
	result->count = kept;
	*ret_reason = status == TABLE_ERROR ? "DNS reply filter lookup error"
					    : "DNS reply filter drops all results";
	if (status != TABLE_ERROR && kept > 0)
		return true;
	result->rcode = status == TABLE_ERROR ? DNS_FAIL_FILTER_TABLE : DNS_FAIL_FILTER;
	return false;
}
