/* SPDX-License-Identifier: MIT */
/* lib/mail/tlsrpt.h: a TXT record; services/tlsrpt/sums.h: the file of a period. */

#include <stdlib.h>

#include "mail/tlsrpt.h"
#include "services/tlsrpt/sums.h"

enum { WIRE_MAX = 4 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_record(struct span text)
{
	struct buf target = BUF_INIT(TLSRPT_URI_MAX);
	enum tlsrpt_uri_kind kind;
	struct span uris;

	if (tlsrpt_record_parse(text, &uris)) {
		if (!tlsrpt_record_counts(text) || uris.n == 0)
			abort();
		while (tlsrpt_next_uri(&uris, &kind, &target)) {
			if (kind != TLSRPT_URI_OTHER && target.length == 0)
				abort();
			for (size_t i = 0; kind != TLSRPT_URI_OTHER && i < target.length; i++)
				if (!ascii_is_print(buf_str(&target)[i]))
					abort();
		}
	}
	buf_done(&target);
}

/* What was read is written the same way, and takes one more session. */
static void try_file(struct span wire)
{
	struct msg_tlsrpt_note note = { .policy_type = TLSRPT_NO_POLICY,
					.failure = TLSRPT_DANE_REQUIRED };
	struct buf out = BUF_INIT(WIRE_MAX);
	struct msg_tlsrpt_period period;
	uint64_t successes, failures, after;
	struct sums sums;

	if (sums_decode(wire, &period, &sums)) {
		if (!sums_encode(&period, &sums, &out) || !span_eq(buf_span(&out), wire))
			abort();
		sums_totals(&sums, &successes, &failures);
		if (sums_add(&sums, &note, true)) {
			sums_totals(&sums, &successes, &after);
			if (after != failures + 1)
				abort();
		}
		sums_done(&sums);
	}
	if (sums.count != 0 || sums.policies != NULL)
		abort();
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };

	try_record(text);
	try_file(text);
	return 0;
}
