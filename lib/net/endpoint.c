/* SPDX-License-Identifier: MIT */
/* Texts that name configured servers, and the seals of some; see endpoint.h. */

#include "net/endpoint.h"

#include "base/mem.h"

bool endpoint_parse(struct span text, struct endpoint *ret)
{
	struct span kind, rest;
	size_t colon;

	if (!span_cut(text, ':', &kind, &rest) || rest.n == 0)
		return false;
	*ret = (struct endpoint){ .is_dgram = span_starts(text, SPAN(ENDPOINT_DGRAM)) };
	ret->is_unix = ret->is_dgram || span_is(kind, "unix");
	if (ret->is_unix) {
		ret->path = rest;
		return true;
	}
	if (!span_is(kind, "inet"))
		return false;
	for (colon = rest.n; colon > 0 && rest.p[colon - 1] != ':'; colon--)
		;
	if (colon == 0)
		return false;
	ret->host = span_first(rest, colon - 1);
	ret->port = span_from(rest, colon);
	if (ret->host.n > 2 && ret->host.p[0] == '[' && ret->host.p[ret->host.n - 1] == ']')
		ret->host = span_first(span_from(ret->host, 1), ret->host.n - 2);
	return ret->host.n > 0 && ret->port.n > 0;
}

char *endpoint_of_path(const char *text)
{
	bool has_kind = span_starts(span_of(text), SPAN("inet:")) ||
			span_starts(span_of(text), SPAN("unix:"));

	return has_kind ? mem_dup_str(text) : mem_printf("unix:%s", text);
}

struct siphash_key endpoint_seal_key(struct span secret)
{
	static const struct siphash_key first = { 5, 6 }, second = { 7, 8 };

	return (struct siphash_key){ siphash(&first, secret), siphash(&second, secret) };
}

uint64_t endpoint_seal(const struct siphash_key *key, struct span text)
{
	return siphash(key, text);
}
