/* SPDX-License-Identifier: MIT */
/* xtext, base64, ORCPT, numeric addresses, domains: decoding undoes encoding. */

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

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

/* An address that is parsed comes back from a socket's form of it; IPv4 in IPv6's as well. */
static void check_sockaddr(const struct ip_addr *addr)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(25) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(587) };
	struct sockaddr none = { .sa_family = AF_UNIX };
	struct ip_addr again = { 0 };
	unsigned port;

	memcpy(v6.sin6_addr.s6_addr, addr->bytes, 16);
	if (addr->family == IP_V4) {
		memcpy(&v4.sin_addr, addr->bytes, 4);
		if (!ip_from_sockaddr((const struct sockaddr *)(const void *)&v4, &again, &port) ||
		    port != 25 || !ip_equal(addr, &again))
			abort();
		memset(v6.sin6_addr.s6_addr, 0, 10);
		memset(v6.sin6_addr.s6_addr + 10, 0xff, 2);
		memcpy(v6.sin6_addr.s6_addr + 12, addr->bytes, 4);
	}
	if (!ip_from_sockaddr((const struct sockaddr *)(const void *)&v6, &again, &port) || port != 587 ||
	    ip_from_sockaddr(&none, &again, &port))
		abort();
	if (addr->family == IP_V6 && IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) ? again.family != IP_V4 :
	    !ip_equal(addr, &again) || ip_is_loopback(addr) != ip_is_loopback(&again))
		abort();
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
	if (ip_parse(text, &addr)) {
		if (!ip_parse(ip_text(&addr, number), &same) || !ip_equal(&addr, &same))
			abort();
		check_sockaddr(&addr);
	}
	buf_done(&plain);
	buf_done(&coded);
	buf_done(&again);
	return 0;
}
