/* SPDX-License-Identifier: MIT */
/* xtext, base64, ORCPT, numeric addresses, domains: decoding undoes encoding. */

#include <stdlib.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/ip.h"
#include "mail/dsn.h"
#include "mail/idna.h"
#include "mail/xtext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	struct buf plain = BUF_INIT(1 << 24), coded = BUF_INIT(1 << 24), again = BUF_INIT(1 << 24);
	struct ip_addr addr, same;
	char number[IP_TEXT_MAX];

	if (!base64_encode(&coded, text) || !base64_decode(&plain, buf_span(&coded)) ||
	    !span_eq(buf_span(&plain), text))
		abort();
	buf_reset(&plain);
	buf_reset(&coded);
	if (dsn_orcpt_decode(&plain, text) && (!dsn_orcpt_encode(&coded, buf_span(&plain)) ||
					       !dsn_orcpt_decode(&again, buf_span(&coded)) ||
					       !span_eq(buf_span(&plain), buf_span(&again))))
		abort();
	(void)!base64_decode(&plain, text);
	(void)!idna_to_ascii(&plain, text, false);
	(void)!idna_to_utf8(&plain, text, false);
	if (ip_parse(text, &addr) &&
	    (!ip_parse(ip_text(&addr, number), &same) || !ip_equal(&addr, &same)))
		abort();
	buf_done(&plain);
	buf_done(&coded);
	buf_done(&again);
	return 0;
}
