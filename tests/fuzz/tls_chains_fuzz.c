/* SPDX-License-Identifier: MIT */
/* lib/tls/chains.c: PEM files in both forms, and the records that keysign sends. */

#include <stdlib.h>

#include "conf/conf.h"
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

static void use(struct tls_chains *chains)
{
	struct buf records = BUF_INIT(1 << 20), text = BUF_INIT(4096);

	if (chains == NULL)
		return;
	(void)!tls_chains_check(chains, 1700000000, &text);
	(void)tls_chains_end(chains, &text);
	(void)!tls_chains_encode(chains, &records);
	tls_chains_free(chains);
	buf_done(&records);
	buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf values = { .tls_config_file = "none", .tls_config_name = "" };
	static const struct tls_signer signer = { sign, NULL };
	static bool is_open;
	struct span input = { (const char *)data, size };
	struct buf error = BUF_INIT(4096);

	conf = &values;
	if (!is_open && !tls_library_open(&error))
		abort();
	is_open = true;
	use(tls_chains_parse(input, false, &error));
	buf_reset(&error);
	use(tls_chains_parse(input, true, &error));
	tls_chains_free(tls_chains_decode(input, &signer));
	buf_done(&error);
	return 0;
}
