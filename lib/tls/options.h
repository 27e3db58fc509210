/* SPDX-License-Identifier: MIT */
#ifndef TLS_OPTIONS_H
#define TLS_OPTIONS_H

/*
 * OpenSSL's options and the cipher of session tickets, as postconf(5) tls_ssl_options,
 * tls_disable_workarounds and tls_session_ticket_cipher have them. For lib/tls alone, but for
 * tls_options_check() of tls/tls.h.
 */

#include "tls/impl.h"

/*
 * What SSL_CTX_set_options() gets: the workarounds for bugs of others that OpenSSL recommends, but for those
 * switched off, and what is switched on. Versions of TLS and the order of ciphers have parameters of
 * their own and are not touched. Words that mean nothing are passed over.
 */
uint64_t tls_options(void);

/* NULL: no tickets, since the parameter is empty or names no cipher that is fit for them. */
const EVP_CIPHER *tls_ticket_cipher(void);

#endif
