/* SPDX-License-Identifier: MIT */
/*
 * A handshake with ourselves, in memory, before workers are forked: what OpenSSL makes when it is first
 * needed, its algorithms fetched from providers, curves, random generators, method tables, is then shared
 * by all of them instead of being made in each. Runs in templates; there is no peer.
 */

#include <openssl/err.h>

#include "tls/impl.h"

enum { PAIR_BYTES = 64 * 1024, ROUNDS_MAX = 16 };

/* One side's next step. False: it has failed for good. */
static bool step(SSL *ssl, bool is_client)
{
	int done = is_client ? SSL_connect(ssl) : SSL_accept(ssl);
	int error = SSL_get_error(ssl, done);

	return done == 1 || error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* A few bytes both ways, and the tickets that come before them. */
static void talk(SSL *client, SSL *server)
{
	char text[] = "EHLO", room[64];
	size_t size;

	(void)SSL_write_ex(client, text, sizeof(text), &size);
	(void)SSL_read_ex(server, room, sizeof(room), &size);
	(void)SSL_write_ex(server, text, sizeof(text), &size);
	(void)SSL_read_ex(client, room, sizeof(room), &size);
}

static void shake_hands(SSL *client, SSL *server)
{
	bool is_well = true;

	for (int i = 0; i < ROUNDS_MAX && is_well; i++) {
		is_well = step(client, true) && step(server, false);
		if (is_well && SSL_is_init_finished(client) && SSL_is_init_finished(server)) {
			talk(client, server);
			return;
		}
	}
}

static void warm_version(struct tls_context *context, SSL_CTX *client_context, int version)
{
	SSL *client = SSL_new(client_context), *server = SSL_new(context->ssl);
	struct tls tls = { .context = context, .ssl = server };
	BIO *near = NULL, *far = NULL;

	if (client != NULL && server != NULL &&
	    BIO_new_bio_pair(&near, PAIR_BYTES, &far, PAIR_BYTES) == 1) {
		SSL_set_app_data(server, &tls);
		(void)SSL_set_max_proto_version(client, version);
		SSL_set_bio(client, near, near);
		SSL_set_bio(server, far, far);
		shake_hands(client, server);
	}
	SSL_free(client);
	SSL_free(server);
}

void tls_context_warm(struct tls_context *context)
{
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());

	if (client != NULL) {
		SSL_CTX_set_verify(client, SSL_VERIFY_NONE, NULL);
		warm_version(context, client, TLS1_2_VERSION);
		warm_version(context, client, TLS1_3_VERSION);
	}
	SSL_CTX_free(client);
	ERR_clear_error();
}
