/* SPDX-License-Identifier: MIT */
/*
 * Certificates, chains and keys from bytes; see chains.h. What is read from files is the administrator's
 * (keysign); what comes over a socket is keysign's (smtpd, smtp). RFC 7468, 5280.
 */

#include "tls/chains.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "ipc/messages.h"
#include "tls/impl.h"

enum { PAIRS_MAX = 16, CHAIN_MAX = 16 };

/* ---- PEM ---- */

/* The first certificate is the server's own, the others are its chain. Takes it over. */
static bool add_certificate(struct tls_pair *pair, X509 *certificate)
{
	if (pair->certificate == NULL) {
		pair->certificate = certificate;
		return true;
	}
	if (pair->chain == NULL || sk_X509_num(pair->chain) >= CHAIN_MAX ||
	    sk_X509_push(pair->chain, certificate) == 0) {
		X509_free(certificate);
		return false;
	}
	return true;
}

static bool is_key_name(const char *name)
{
	return strcmp(name, "PRIVATE KEY") == 0 || strcmp(name, "RSA PRIVATE KEY") == 0 ||
	       strcmp(name, "EC PRIVATE KEY") == 0;
}

static bool is_certificate_name(const char *name)
{
	return strcmp(name, "CERTIFICATE") == 0 || strcmp(name, "X509 CERTIFICATE") == 0;
}

static bool take_key(struct tls_chains *chains, bool is_list, const unsigned char *der, long size,
		     struct buf *ret_error)
{
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &der, size);
	struct tls_pair *last = chains->count > 0 ? &chains->pairs[chains->count - 1] : NULL;

	if (key == NULL) {
		tls_error(ret_error, "malformed private key");
		return false;
	}
	if (last == NULL || (is_list && last->key != NULL)) {
		if (chains->count == PAIRS_MAX) {
			(void)buf_text(ret_error, "too many keys");
			EVP_PKEY_free(key);
			return false;
		}
		last = tls_chains_add_pair(chains);
	}
	if (last->key == NULL)
		last->key = key;
	else
		EVP_PKEY_free(key);
	return true;
}

static bool take_certificate(struct tls_chains *chains, bool is_list, const unsigned char *der,
			     long size, struct buf *ret_error)
{
	X509 *certificate;

	if (chains->count == 0 && is_list) {
		(void)buf_text(ret_error, "a certificate comes before its key");
		return false;
	}
	certificate = d2i_X509(NULL, &der, size);
	if (certificate == NULL) {
		tls_error(ret_error, "malformed certificate");
		return false;
	}
	if (chains->count == 0)
		(void)tls_chains_add_pair(chains);
	if (add_certificate(&chains->pairs[chains->count - 1], certificate))
		return true;
	(void)buf_text(ret_error, "the chain of certificates is too long");
	return false;
}

static bool take_block(struct tls_chains *chains, bool is_list, const char *name,
		       const char *header, const unsigned char *der, long size,
		       struct buf *ret_error)
{
	if (strcmp(name, "ENCRYPTED PRIVATE KEY") == 0 || strstr(header, "ENCRYPTED") != NULL) {
		(void)buf_text(ret_error, "the private key has a pass phrase");
		return false;
	}
	if (is_key_name(name))
		return take_key(chains, is_list, der, size, ret_error);
	if (is_certificate_name(name))
		return take_certificate(chains, is_list, der, size, ret_error);
	return true;
}

static bool is_whole(const struct tls_chains *chains, struct buf *ret_error)
{
	if (chains->count == 0) {
		(void)buf_text(ret_error, "no private key and no certificate");
		return false;
	}
	for (size_t i = 0; i < chains->count; i++) {
		if (chains->pairs[i].key == NULL)
			(void)buf_text(ret_error, "no private key");
		else if (chains->pairs[i].certificate == NULL)
			(void)buf_text(ret_error, "no certificate behind a private key");
		else if (!tls_key_id(X509_get0_pubkey(chains->pairs[i].certificate),
				     chains->pairs[i].id))
			tls_error(ret_error, "the certificate's key cannot be used");
		else
			continue;
		return false;
	}
	return true;
}

struct tls_chains *tls_chains_parse(struct span pem, bool is_list, struct buf *ret_error)
{
	struct tls_chains *chains = tls_chains_new();
	BIO *bio = pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	char *name, *header;
	unsigned char *der;
	long size;
	bool is_good = bio != NULL;

	while (is_good && PEM_read_bio(bio, &name, &header, &der, &size) == 1) {
		is_good = take_block(chains, is_list, name, header, der, size, ret_error);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(der, (size_t)size);
	}
	if (is_good && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		tls_error(ret_error, "malformed PEM");
		is_good = false;
	}
	ERR_clear_error();
	BIO_free(bio);
	if (is_good && is_whole(chains, ret_error))
		return chains;
	tls_chains_free(chains);
	return NULL;
}

/* ---- records of keysign ---- */

static bool decode_pair(struct tls_pair *pair, const struct msg_tls_pair *record,
			const struct tls_signer *signer)
{
	const unsigned char *at = (const unsigned char *)record->chain.p, *end = at + record->chain.n;

	while (at < end) {
		X509 *certificate = d2i_X509(NULL, &at, end - at);

		if (certificate == NULL || !add_certificate(pair, certificate))
			return false;
	}
	if (pair->certificate == NULL)
		return false;
	pair->key = tls_remote_key(X509_get0_pubkey(pair->certificate), signer);
	return pair->key != NULL;
}

struct tls_chains *tls_chains_decode(struct span records, const struct tls_signer *signer)
{
	struct tls_chains *chains = tls_chains_new();
	struct msg_tls_pair record;
	bool is_good = true;

	while (is_good && records.n > 0)
		is_good = chains->count < PAIRS_MAX && msg_tls_pair_decode(&records, &record) &&
			  decode_pair(tls_chains_add_pair(chains), &record, signer);
	ERR_clear_error();
	if (is_good)
		return chains;
	tls_chains_free(chains);
	return NULL;
}
