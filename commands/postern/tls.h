/* SPDX-License-Identifier: MIT */
#ifndef POSTERN_TLS_H
#define POSTERN_TLS_H

/*
 * What "postern tls" does with keys and certificates. Where a function fails, it has logged why.
 * Files are PEM, and never written over.
 */

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

/* "rsa" with a number of bits (NULL: 2048), or "ecdsa" with a curve (NULL: P-256); NULL: failed. */
MUST_USE EVP_PKEY *tls_make_key(const char *algorithm, const char *bits);

/* The private key in a file; NULL: failed. */
MUST_USE EVP_PKEY *tls_read_key(const char *path);

/* Puts the key into a new file that only its owner reads. */
MUST_USE bool tls_write_key(const char *path, EVP_PKEY *key);

/* A certificate for 100 years that the key signs itself, for `count` names, at least one. */
MUST_USE bool tls_write_cert(const char *path, EVP_PKEY *key, char *const *names, size_t count);

/* Whether the first certificate of the file is one for the key. */
MUST_USE bool tls_check_cert(const char *path, EVP_PKEY *key);

/* A signing request for the key and those names, to standard output. */
MUST_USE bool tls_print_csr(EVP_PKEY *key, char *const *names, size_t count);

/* TLSA 3 1 1 for port 25 of `name` (RFC 6698, RFC 7672), to standard output. */
MUST_USE bool tls_print_tlsa(EVP_PKEY *key, const char *name);

#endif
