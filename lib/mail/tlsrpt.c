/* SPDX-License-Identifier: MIT */
/* Words and records of TLS reports; see tlsrpt.h. Runs in tlsrpt. Records are those of strangers. */

#include "mail/tlsrpt.h"

#include "mail/addr.h"
#include "mail/domain.h"
#include "mail/sts.h"
#include "mail/xtext.h"

enum { LOCAL_MAX = 64, ADDRESS_MAX = 320 };

const char *tlsrpt_policy_name(uint32_t type)
{
	switch (type) {
	case TLSRPT_TLSA: return "tlsa";
	case TLSRPT_STS: return "sts";
	case TLSRPT_NO_POLICY: return "no-policy-found";
	default: return NULL;
	}
}

const char *tlsrpt_failure_name(uint32_t failure)
{
	switch (failure) {
	case TLSRPT_STARTTLS_NOT_SUPPORTED: return "starttls-not-supported";
	case TLSRPT_CERTIFICATE_HOST_MISMATCH: return "certificate-host-mismatch";
	case TLSRPT_CERTIFICATE_NOT_TRUSTED: return "certificate-not-trusted";
	case TLSRPT_CERTIFICATE_EXPIRED: return "certificate-expired";
	case TLSRPT_VALIDATION_FAILURE: return "validation-failure";
	case TLSRPT_STS_POLICY_FETCH_ERROR: return "sts-policy-fetch-error";
	case TLSRPT_STS_POLICY_INVALID: return "sts-policy-invalid";
	case TLSRPT_STS_WEBPKI_INVALID: return "sts-webpki-invalid";
	case TLSRPT_TLSA_INVALID: return "tlsa-invalid";
	case TLSRPT_DNSSEC_INVALID: return "dnssec-invalid";
	case TLSRPT_DANE_REQUIRED: return "dane-required";
	default: return NULL;
	}
}

/*
 * tlsrpt-record    = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
 * field-delim      = *WSP ";" *WSP
 * tlsrpt-field     = tlsrpt-rua / tlsrpt-extension
 * tlsrpt-version   = %s"v=TLSRPTv1"
 * tlsrpt-rua       = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
 * tlsrpt-uri       = URI ; with "!", "," and ";" encoded
 * tlsrpt-extension = name "=" value, as in MTA-STS
 */

bool tlsrpt_record_counts(struct span record)
{
	struct span version, rest;

	return span_cut(record, ';', &version, &rest) &&
	       span_is(span_trim_right(version), "v=TLSRPTv1");
}

static bool is_field_value(struct span value)
{
	for (size_t i = 0; i < value.n; i++)
		if (!ascii_is_print(value.p[i]) && value.p[i] != '\t')
			return false;
	return value.n > 0;
}

bool tlsrpt_record_parse(struct span record, struct span *ret_uris)
{
	struct span rest = record, uris = { NULL, 0 }, field, name, value;

	if (!tlsrpt_record_counts(record) || record.n > TLSRPT_RECORD_MAX)
		return false;
	(void)span_cut(rest, ';', &field, &rest);
	while (span_trim(rest).n > 0) {
		bool has_more = span_cut(rest, ';', &field, &rest);

		if (!has_more) {
			field = rest;
			rest.n = 0;
		}
		if (!span_cut(span_trim(field), '=', &name, &value) || !sts_is_field_name(name) ||
		    !is_field_value(value))
			return false;
		/* Of fields that are there twice the first counts. */
		if (uris.n == 0 && span_is(name, "rua"))
			uris = value;
	}
	if (uris.n == 0)
		return false;
	*ret_uris = uris;
	return true;
}

/* ---- URIs ---- */

/* Percent-encoded bytes (RFC 3986 2.1), none of them a control or outside ASCII. */
static bool decode(struct span text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (c == '%') {
			int high = i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1;
			int low = i + 2 < text.n ? hex_digit(text.p[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (!ascii_is_print(c) || !buf_char(out, c))
			return false;
	}
	return true;
}

/* One address (RFC 6068); what is behind "?" is for people's mail programs. */
static bool take_mailto(struct span text, struct buf *ret_target)
{
	struct addr parts;
	size_t at;

	if (span_chr(text, '?', &at))
		text = span_first(text, at);
	if (text.n == 0 || text.n > ADDRESS_MAX || !decode(text, ret_target))
		return false;
	parts = addr_split(buf_span(ret_target));
	return parts.local.n > 0 && parts.local.n <= LOCAL_MAX && parts.local.p[0] != '"' &&
	       !span_has(parts.local, ' ') &&
	       domain_check_name(parts.domain, false) == DOMAIN_OK;
}

/* Whether it can be asked is for whoever asks to say; here it is one word with a host in it. */
static bool take_https(struct span url, struct buf *ret_target)
{
	for (size_t i = 0; i < url.n; i++)
		if (url.p[i] <= ' ' || url.p[i] > '~')
			return false;
	return url.n > 8 && buf_add(ret_target, url);
}

bool tlsrpt_next_uri(struct span *rest, enum tlsrpt_uri_kind *ret_kind, struct buf *ret_target)
{
	struct span uri = *rest;
	size_t at;

	if (span_trim(*rest).n == 0)
		return false;
	if (span_chr(uri, ',', &at)) {
		uri = span_first(uri, at);
		*rest = span_from(*rest, at + 1);
	} else {
		rest->n = 0;
	}
	uri = span_trim(uri);
	buf_reset(ret_target);
	*ret_kind = TLSRPT_URI_OTHER;
	if (uri.n > TLSRPT_URI_MAX)
		return true;
	if (span_starts_nocase(uri, SPAN("mailto:"))) {
		if (take_mailto(span_from(uri, 7), ret_target))
			*ret_kind = TLSRPT_URI_MAILTO;
	} else if (span_starts_nocase(uri, SPAN("https://"))) {
		if (take_https(uri, ret_target))
			*ret_kind = TLSRPT_URI_HTTPS;
	}
	return true;
}
