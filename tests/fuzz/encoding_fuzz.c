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

/* The words of RFC 3461, and the fields of RFC 3464, which stay one line. */
static void check_dsn(struct span text)
{
	struct buf out = BUF_INIT(1 << 24);
	char status[DSN_STATUS_SIZE];
	struct span reason;
	enum dsn_ret ret;
	unsigned notify = 0, again;

	if (dsn_notify_parse(text, &notify) &&
	    (!dsn_notify_format(&out, notify) || !dsn_notify_parse(buf_span(&out), &again) || again != notify))
		abort();
	for (int action = DSN_DELIVERED; action <= DSN_UNDELIVERABLE; action++) {
		(void)dsn_wants(notify, (enum dsn_action)action);
		(void)dsn_action_text((enum dsn_action)action);
	}
	(void)!dsn_ret_parse(text, &ret);
	dsn_split(text, "5.0.0", status, &reason);
	dsn_soften(status);
	if (status[0] == '5')
		abort();
	buf_reset(&out);
	(void)dsn_field(&out, "A", text);
	(void)dsn_typed_field(&out, "B", "smtp", text);
	(void)!dsn_orcpt_encode(&out, text);
	(void)!xtext_encode(&out, text);
	buf_done(&out);
}

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
	check_dsn(text);
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
