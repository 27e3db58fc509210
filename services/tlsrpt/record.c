/* SPDX-License-Identifier: MIT */
/*
 * Which record asks for reports; see record.h. Runs in tlsrpt and in its children. Records are those of
 * strangers.
 */

#include "services/tlsrpt/record.h"

#include "mail/tlsrpt.h"
#include "net/dns.h"

enum { RCODE_NO_ERROR = 0, RCODE_NO_NAME = 3 };

void record_name(struct span domain, struct buf *out)
{
	(void)buf_printf(out, "_smtp._tls.%.*s", SPAN_ARG(domain));
}

bool record_choose(const struct msg_dns_record *records, size_t count, struct span *ret_record)
{
	struct span uris, found = { NULL, 0 };
	size_t counting = 0;

	for (size_t i = 0; i < count; i++) {
		if (records[i].type != DNS_TXT || !tlsrpt_record_counts(records[i].data))
			continue;
		counting++;
		found = records[i].data;
	}
	if (counting != 1 || !tlsrpt_record_parse(found, &uris))
		return false;
	*ret_record = found;
	return true;
}

enum lookup_result record_of_answer(const struct msg_dns_answer *answer, struct span *ret_record)
{
	struct msg_dns_record records[DNS_RECORDS_MAX];
	struct span rest = answer->records;
	size_t count = 0;

	if (answer->rcode == RCODE_NO_NAME)
		return LOOKUP_UNWANTED;
	if (answer->rcode != RCODE_NO_ERROR)
		return LOOKUP_FAILED;
	/* "Exactly one" can be said of all of them only. */
	while (rest.n > 0)
		if (count == DNS_RECORDS_MAX || !msg_dns_record_decode(&rest, &records[count++]))
			return LOOKUP_FAILED;
	return record_choose(records, count, ret_record) ? LOOKUP_WANTED : LOOKUP_UNWANTED;
}
