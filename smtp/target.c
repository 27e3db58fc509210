/* SPDX-License-Identifier: MIT */
/*
 * Nexthop texts, of transport(5), relayhost and the like; see smtp(8), lmtp(8). They come from
 * configuration, tables and recipient domains.
 */

#include "smtp.h"

#include "base/words.h"
#include "conf/conf.h"
#include "net/port.h"

bool target_port(struct span text, uint16_t *ret)
{
	return port_find(text, span_of(conf->known_tcp_ports), ret);
}

/* host | host:port | [host] | [host]:port; an IPv6 address stands in brackets. */
static bool parse_inet(struct span text, struct target *ret)
{
	struct span host = text, rest = { NULL, 0 }, service = span_of(conf->smtp_tcp_port);
	bool is_literal = text.n > 0 && text.p[0] == '[';
	size_t at;

	if (is_literal) {
		if (!span_chr(text, ']', &at))
			return false;
		host = span_from(span_first(text, at), 1);
		rest = span_from(text, at + 1);
		ret->is_exact = true;
	} else if (span_chr(text, ':', &at)) {
		host = span_first(text, at);
		rest = span_from(text, at);
	}
	if (span_starts_nocase(host, SPAN("ipv6:")))
		host = span_from(host, 5);
	if (rest.n > 0 && (rest.p[0] != ':' || !target_port(span_from(rest, 1), &ret->port)))
		return false;
	if (rest.n > 0)
		service = span_from(rest, 1);
	if (!is_literal && hosts_have_dns() && words_have(span_of(conf->use_srv_lookup), service))
		ret->service = service;
	ret->host = host;
	return host.n > 0;
}

bool target_next(struct span *rest, struct target *ret)
{
	struct span text = span_word(rest, WORDS_BLANK_OR_COMMA);

	if (text.n == 0)
		return false;
	*ret = (struct target){ .text = text, .port = tables.default_port,
				.is_exact = is_lmtp || !hosts_have_dns() };
	if (span_starts(text, SPAN("unix:")) && is_lmtp) {
		ret->is_unix = true;
		ret->host = span_from(text, 5);
	} else {
		if (span_starts(text, SPAN("inet:")) && is_lmtp)
			text = span_from(text, 5);
		if (!parse_inet(text, ret))
			ret->host = (struct span){ NULL, 0 };
	}
	return true;
}
