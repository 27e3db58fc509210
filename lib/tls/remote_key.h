/* SPDX-License-Identifier: MIT */
#ifndef TLS_REMOTE_KEY_H
#define TLS_REMOTE_KEY_H

/*
 * Keys whose private half is in another process: an EVP_PKEY that OpenSSL takes for a private key,
 * and that has nothing but the public one and somebody to ask. For lib/tls alone.
 */

#include <openssl/evp.h>

#include "base/buf.h"

/* How a signature is made. */
enum tls_padding { TLS_PADDING_NONE, TLS_PADDING_PKCS1, TLS_PADDING_PSS };

struct tls_signer {
	/*
	 * Signs `text`, all of it, as `padding` and `digest` ("SHA2-256"; empty with Ed25519) say, with
	 * the key whose identity is `id`, and sets *ret_signature, borrowed until the next call.
	 */
	bool (*sign)(void *context, struct span id, enum tls_padding padding, const char *digest,
		     struct span text, struct span *ret_signature);
	void *context;
};

enum { TLS_KEY_ID_BYTES = 32 };

/* The identity of a public key: SHA-256 of its SubjectPublicKeyInfo. */
MUST_USE bool tls_key_id(EVP_PKEY *key, unsigned char ret_id[TLS_KEY_ID_BYTES]);

/*
 * The key to a certificate's public key (not taken over). `signer` must outlive it. NULL when it is of a
 * kind that is not known here (RSA, EC, ED25519 and ED448 are), or tls_library_open() was not called.
 */
EVP_PKEY *tls_remote_key(EVP_PKEY *public_key, const struct tls_signer *signer);

#endif
