/* SPDX-License-Identifier: MIT */
#ifndef TLS_IMPL_H
#define TLS_IMPL_H

/* What the files of lib/tls share with each other, and nobody else: OpenSSL's types. */

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls/tls.h"

struct tls_files {
	X509_STORE *trust; /* never NULL */
	STACK_OF(X509_NAME) *names; /* a server says whom it trusts; may be NULL */
	EVP_PKEY *dh;      /* NULL: built in */
};

struct tls_context {
	SSL_CTX *ssl;
	struct tls_settings settings; /* its texts are borrowed */
	const EVP_CIPHER *ticket_cipher; /* NULL: no tickets */
	size_t ticket_count;
	unsigned char tickets[TLS_TICKETS_MAX][TLS_TICKET_BYTES];
};

/* A certificate with its chain, and the key to go with it. */
struct tls_pair {
	X509 *certificate;
	STACK_OF(X509) *chain;
	EVP_PKEY *key;
	unsigned char id[32]; /* tls_key_id() of the certificate; in keysign alone */
};

struct tls_chains {
	struct tls_pair *pairs;
	size_t count;
};

struct tls {
	SSL *ssl;
	struct tls_context *context; /* borrowed */
	struct tls_info info;
	char server_name[256];
	char *texts[4]; /* behind `info` */
	SSL_SESSION *session; /* client: the newest that may be resumed */
	struct stream *stream;
	bool has_find_failed;
	bool has_spoken;      /* client: behind the handshake */
};

/* chains.c: one more pair, empty but for its chain; it stays where it is until the next one comes. */
struct tls_pair *tls_chains_add_pair(struct tls_chains *chains);

/* session.c: the session behind OpenSSL's. */
struct tls *tls_of(const SSL *ssl);

/* library.c: the newest of OpenSSL's errors behind `what`; forgets all of them. */
void tls_error(struct buf *ret_error, const char *what);

/* context.c */
MUST_USE bool tls_set_limits(SSL_CTX *context, SSL *ssl, const struct tls_limits *limits,
			     struct buf *ret_error);

/* dane_digests.c: has a client's context take the digests of tls_dane_digests, in their order. */
void tls_dane_use_digests(SSL_CTX *context);

/* peer.c: fills in what `info` says of the peer's certificate. */
void tls_describe_peer(struct tls *tls);

/* remote_key.c: keys that are elsewhere, see there. */
MUST_USE bool tls_remote_keys_open(struct buf *ret_error);

#endif
