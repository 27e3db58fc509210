/* SPDX-License-Identifier: MIT */
#ifndef MAIL_TLSRPT_H
#define MAIL_TLSRPT_H

/*
 * The words of TLS reports (RFC 8460): kinds of policies and failures, and the TXT record that says
 * where a domain wants its reports. Pure functions over borrowed text.
 */

#include "base/buf.h"

/* Numbers as libtlsrpt has them, which go over its socket. */
enum tlsrpt_policy_type { TLSRPT_TLSA = 1, TLSRPT_STS = 2, TLSRPT_NO_POLICY = 9 };

enum tlsrpt_failure {
	TLSRPT_SUCCESS = 0,
	TLSRPT_STARTTLS_NOT_SUPPORTED = 201,
	TLSRPT_CERTIFICATE_HOST_MISMATCH = 202,
	TLSRPT_CERTIFICATE_NOT_TRUSTED = 203,
	TLSRPT_CERTIFICATE_EXPIRED = 204,
	TLSRPT_VALIDATION_FAILURE = 205,
	TLSRPT_STS_POLICY_FETCH_ERROR = 301,
	TLSRPT_STS_POLICY_INVALID = 302,
	TLSRPT_STS_WEBPKI_INVALID = 303,
	TLSRPT_TLSA_INVALID = 304,
	TLSRPT_DNSSEC_INVALID = 305,
	TLSRPT_DANE_REQUIRED = 306,
};

/* "tlsa", "starttls-not-supported" (RFC 8460 4.3); NULL for a number that is none of these. */
const char *tlsrpt_policy_name(uint32_t type);
const char *tlsrpt_failure_name(uint32_t failure);

/* ---- the TXT record of _smtp._tls.DOMAIN (RFC 8460 3) ---- */

/*
 * Whether a TXT record counts: records of others are passed over, and of those that count there must
 * be exactly one.
 */
bool tlsrpt_record_counts(struct span record);

/* The list of URIs in it, for tlsrpt_next_uri(). False: it is not well-formed. */
MUST_USE bool tlsrpt_record_parse(struct span record, struct span *ret_uris);

enum { TLSRPT_URIS_MAX = 4, TLSRPT_URI_MAX = 1024, TLSRPT_RECORD_MAX = 4096 };

enum tlsrpt_uri_kind { TLSRPT_URI_OTHER, TLSRPT_URI_MAILTO, TLSRPT_URI_HTTPS };

/*
 * The next URI of the list; *rest moves behind it. False at the end. One that no report goes to, by
 * its scheme or form, is TLSRPT_URI_OTHER. *ret_target, emptied first, gets the address in internal form, or
 * the URL. Whoever sends takes at most TLSRPT_URIS_MAX.
 */
bool tlsrpt_next_uri(struct span *rest, enum tlsrpt_uri_kind *ret_kind, struct buf *ret_target);

#endif
