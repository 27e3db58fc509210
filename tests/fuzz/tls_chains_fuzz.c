/* SPDX-License-Identifier: MIT */
/* lib/tls/chains.h: PEM files in both forms, and the records that keysign sends. */

#include <stdlib.h>

#include "conf/conf.h"
#include "ipc/messages.h"
#include "tls/chains.h"
#include "tls/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool sign(void *context, struct span id, enum tls_padding padding, const char *digest,
		 struct span text, struct span *ret_signature)
{
	(void)context;
	(void)id;
	(void)padding;
	(void)digest;
	(void)text;
	(void)ret_signature;
	return false;
}

static const struct tls_signer signer = { sign, NULL };

/* Each record has a certificate at least, and in keysign the identity of a key that is there. */
static size_t count_records(struct span records, const struct tls_chains *keys)
{
	struct msg_tls_pair pair;
	size_t count = 0;

	for (; records.n > 0; count++)
		if (!msg_tls_pair_decode(&records, &pair) || pair.chain.n == 0 ||
		    (keys != NULL && !tls_chains_has(keys, pair.key)))
			abort();
	return count;
}

/* What everybody else gets are the same certificates; what they make of them is written the same way again. */
static void hand_over(struct span records, size_t count)
{
	struct tls_chains *chains = tls_chains_decode(records, &signer), *again;
	struct buf first = BUF_INIT(1 << 20), second = BUF_INIT(1 << 20);

	/* A key of a kind that nobody can ask for. */
	if (chains == NULL)
		return;
	if (tls_chains_count(chains) != count)
		abort();
	if (tls_chains_encode(chains, &first)) {
		again = tls_chains_decode(buf_span(&first), &signer);
		if (again == NULL || count_records(buf_span(&first), NULL) != count ||
		    !tls_chains_encode(again, &second) ||
		    !span_eq(buf_span(&first), buf_span(&second)))
			abort();
		tls_chains_free(again);
	}
	tls_chains_free(chains);
	buf_done(&first);
	buf_done(&second);
}

/* A reason comes with all that is wrong. */
static void check(const struct tls_chains *chains, int64_t now_s)
{
	struct buf reason = BUF_INIT(4096);

	if ((tls_chains_check(chains, now_s, &reason) == TLS_CHECK_GOOD) != (reason.length == 0))
		abort();
	buf_done(&reason);
}

static void try_file(struct span pem, bool is_list)
{
	struct buf records = BUF_INIT(1 << 20), text = BUF_INIT(4096), error = BUF_INIT(4096);
	struct tls_chains *chains = tls_chains_parse(pem, is_list, &error);
	size_t count;

	if (chains == NULL) {
		if (error.length == 0)
			abort();
	} else {
		count = tls_chains_count(chains);
		if (count == 0 || (!is_list && count != 1))
			abort();
		check(chains, 1700000000);
		check(chains, 2000000000);
		(void)tls_chains_end(chains, &text);
		if (tls_chains_encode(chains, &records)) {
			if (count_records(buf_span(&records), chains) != count)
				abort();
			hand_over(buf_span(&records), count);
		}
	}
	tls_chains_free(chains);
	buf_done(&records);
	buf_done(&text);
	buf_done(&error);
}

static void try_records(struct span records)
{
	struct tls_chains *chains = tls_chains_decode(records, &signer);

	if (chains != NULL) {
		hand_over(records, count_records(records, NULL));
	}
	tls_chains_free(chains);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf values = { .tls_config_file = "none", .tls_config_name = "" };
	static bool is_open;
	struct span input = { (const char *)data, size };
	struct buf error = BUF_INIT(4096);

	conf = &values;
	if (!is_open && !tls_library_open(&error))
		abort();
	is_open = true;
	try_file(input, false);
	try_file(input, true);
	try_records(input);
	buf_done(&error);
	return 0;
}
