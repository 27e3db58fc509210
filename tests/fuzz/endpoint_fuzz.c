/* SPDX-License-Identifier: MIT */
/*
 * Addresses of configured servers: what is parsed lies within the text and, written again, is parsed
 * as the same; a path of smtpd_sasl_path becomes an address; a seal is good for this text alone.
 */

#include <stdlib.h>

#include "base/mem.h"
#include "net/endpoint.h"

static void check_within(struct span part, const uint8_t *data, size_t size)
{
	const char *start = (const char *)data;

	if (part.n > 0 && (part.p < start || part.p + part.n > start + size))
		abort();
}

static void check_again(const struct endpoint *endpoint)
{
	struct buf text = BUF_INIT(1 << 20);
	struct endpoint again = { 0 };

	if (endpoint->is_unix)
		(void)buf_text(&text, endpoint->is_dgram ? ENDPOINT_DGRAM : "unix:");
	else
		(void)buf_text(&text, "inet:[");
	(void)buf_add(&text, endpoint->is_unix ? endpoint->path : endpoint->host);
	if (!endpoint->is_unix)
		(void)buf_text(&text, "]:");
	(void)buf_add(&text, endpoint->port);
	if (!endpoint_parse(buf_span(&text), &again) || again.is_unix != endpoint->is_unix ||
	    again.is_dgram != endpoint->is_dgram || !span_eq(again.path, endpoint->path) ||
	    !span_eq(again.host, endpoint->host) || !span_eq(again.port, endpoint->port))
		abort();
	buf_done(&text);
}

/* As smtpd_sasl_path: a C string, so up to the first NUL. */
static void check_path(struct span text)
{
	char *path = mem_dup(text), *made = endpoint_of_path(path);
	struct span rest, kind, left = span_of(path);
	struct endpoint endpoint = { 0 };
	bool is_good = endpoint_parse(span_of(made), &endpoint);

	if (!span_cut(span_of(made), ':', &kind, &rest) ||
	    (!span_is(kind, "inet") && !span_is(kind, "unix")))
		abort();
	if (span_is(kind, "unix") && is_good != (rest.n > 0))
		abort();
	if (!span_starts(left, SPAN("inet:")) && !span_starts(left, SPAN("unix:")) && !span_eq(rest, left))
		abort();
	free(made);
	free(path);
}

static void check_seal(struct span text)
{
	struct siphash_key key = endpoint_seal_key(SPAN("secret")), other = endpoint_seal_key(text);
	uint64_t seal = endpoint_seal(&key, text);

	if (seal != endpoint_seal(&key, text) ||
	    (text.n > 0 && seal == endpoint_seal(&key, span_from(text, 1))) ||
	    (!span_is(text, "secret") && seal == endpoint_seal(&other, text)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	struct endpoint endpoint = { 0 };

	if (size > 1 << 16)
		return 0;
	check_path(text);
	check_seal(text);
	if (!endpoint_parse(text, &endpoint))
		return 0;
	check_within(endpoint.path, data, size);
	check_within(endpoint.host, data, size);
	check_within(endpoint.port, data, size);
	if (endpoint.is_unix ? endpoint.path.n == 0 : endpoint.host.n == 0 || endpoint.port.n == 0)
		abort();
	check_again(&endpoint);
	return 0;
}
