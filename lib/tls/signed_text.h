/* SPDX-License-Identifier: MIT */
#ifndef TLS_SIGNED_TEXT_H
#define TLS_SIGNED_TEXT_H

/* The texts that a key of TLS signs. Pure function. */

#include "tls/tls.h"

/*
 * Whether `text` is what a server or client signs in a handshake, and nothing else: RFC 8446
 * 4.4.3 (TLS 1.3), RFC 5246 7.4.3 and RFC 8422 5.4 (a server's key exchange, ECDHE or DHE), RFC
 * 5246 7.4.8 (a client, all messages so far). A signature of such a text is good for that
 * handshake alone, since it has random bytes of both sides.
 */
bool signed_text_is_tls(struct span text, enum tls_role role);

#endif
