/* SPDX-License-Identifier: MIT */
#ifndef TLS_LIMITS_H
#define TLS_LIMITS_H

/* The texts of postconf(5) smtpd_tls_protocols and smtpd_tls_ciphers, read. Pure functions. */

#include "base/buf.h"
#include "tls/tls.h"

/* Bits of struct tls_versions, oldest first. */
enum { TLS_1_0 = 1 << 0, TLS_1_1 = 1 << 1, TLS_1_2 = 1 << 2, TLS_1_3 = 1 << 3, TLS_ALL = 15 };

/*
 * Which versions a list allows: "TLSv1.2 TLSv1.3" these alone, "!TLSv1" all but that, ">=TLSv1.2"
 * and "<=TLSv1.2" bounds, whose version may also be 0x0303. SSLv2 and SSLv3 are known and never
 * allowed. False with a reason: a word that means nothing, or no version is left.
 */
MUST_USE bool tls_versions_parse(struct span list, unsigned *ret_versions, struct buf *ret_error);

/*
 * OpenSSL's cipher list for a grade of conf's tls_*_cipherlist without what is excluded. Key
 * exchange by decryption ("kRSA") is always left out: nobody here decrypts with a private key, and it
 * has no forward secrecy; so are ciphers without authentication. False with a reason.
 */
MUST_USE bool tls_ciphers_make(const struct tls_limits *limits, struct buf *out,
			       struct buf *ret_error);

#endif
