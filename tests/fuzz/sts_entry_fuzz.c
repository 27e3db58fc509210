/* SPDX-License-Identifier: MIT */
/*
 * services/policyfetch/sts_entry.h: a file as it is; and one with two numbers, the times, and, behind NULs,
 * ids and text from the input.
 */

#include <stdlib.h>
#include <string.h>

#include "ipc/sts.h"
#include "mail/sts.h"
#include "services/policyfetch/sts_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* It is written as it was read, and its times may be reckoned with. */
static void read_back(struct span wire, struct span domain)
{
	struct msg_sts_entry untouched = { .failures = 77 }, entry = untouched;
	struct buf again = BUF_INIT(STS_ENTRY_MAX * 2);
	struct sts_policy policy;
	const char *reason;
	int64_t next_s;

	if (sts_entry_read(wire, domain, &entry)) {
		if (!span_eq(entry.domain, domain) || !msg_sts_entry_encode(&again, &entry) ||
		    !span_eq(buf_span(&again), wire))
			abort();
		next_s = sts_entry_next_try(&entry);
		if (entry.failed_id.n == 0 ? next_s != 0
					   : next_s < entry.failed_s + 300 || next_s > entry.failed_s + 3600)
			abort();
		if (entry.text.n > 0 && (!sts_policy_parse(entry.text, &policy, &reason) ||
					 entry.fetched_s + policy.max_age_s < entry.fetched_s))
			abort();
		if (span_has(entry.id, '\n') || entry.failure > STS_FAILURE_INVALID)
			abort();
		/* Of nobody else. */
		if (sts_entry_read(wire, SPAN("other.test"), &untouched))
			abort();
	} else if (entry.failures != 77) {
		abort();
	}
	buf_done(&again);
}

static struct span next_text(struct span *rest)
{
	struct span text = *rest;

	if (!span_cut(*rest, '\0', &text, rest))
		rest->n = 0;
	return text;
}

static void make_and_read(struct span input)
{
	struct buf wire = BUF_INIT(STS_ENTRY_MAX);
	struct msg_sts_entry entry = { .domain = SPAN("a.test") };

	if (input.n < 20)
		return;
	memcpy(&entry.fetched_s, input.p, 8);
	memcpy(&entry.failed_s, input.p + 8, 8);
	entry.failures = (unsigned char)input.p[16];
	entry.failure = (unsigned char)input.p[17];
	input = span_from(input, 18);
	entry.id = next_text(&input);
	entry.failed_id = next_text(&input);
	entry.text = input;
	if (msg_sts_entry_encode(&wire, &entry))
		read_back(buf_span(&wire), entry.domain);
	buf_done(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = { (const char *)data, size };

	read_back(input, SPAN("a.test"));
	make_and_read(input);
	return 0;
}
