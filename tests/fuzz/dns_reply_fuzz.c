/* SPDX-License-Identifier: MIT */
/* A DNS reply of any bytes, to questions of each type: the first byte chooses. */

#include "net/dns_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = { DNS_A,	DNS_NS,	  DNS_CNAME, DNS_PTR, DNS_MX,
					       DNS_TXT, DNS_AAAA, DNS_SRV,   DNS_TLSA };
	struct dns_reply reply;

	if (size < 1)
		return 0;

	struct buf query = BUF_INIT(4096);

	(void)!dns_wire_question(&query, (struct span){ (const char *)data + 1, size - 1 },
				 types[data[0] % ARRAY_LEN(types)], 7);
	buf_done(&query);
	dns_reply_init(&reply);
	if (dns_reply_parse((struct span){ (const char *)data + 1, size - 1 }, SPAN("a.test"),
			    types[data[0] % ARRAY_LEN(types)], &reply)) {
		struct span rest = buf_span(&reply.records);
		struct msg_dns_record record;

		while (rest.n > 0)
			if (!msg_dns_record_decode(&rest, &record))
				__builtin_trap();
	}
	dns_reply_done(&reply);
	return 0;
}
