/* SPDX-License-Identifier: MIT */
/*
 * Certificates, chains and keys; see chains.h. What is read from files is the administrator's
 * (keysign); what comes over a socket is keysign's (smtpd, smtp). RFC 7468, 5280.
 */

#include "tls/chains.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "ipc/messages.h"
#include "tls/impl.h"

enum { PAIRS_MAX = 16, CHAIN_MAX = 16, CHAIN_BYTES_MAX = 64 * 1024 };

struct tls_chains *tls_chains_new(void)
{
	return NEW(struct tls_chains);
}

static void pair_done(struct tls_pair *pair)
{
	X509_free(pair->certificate);
	sk_X509_pop_free(pair->chain, X509_free);
	EVP_PKEY_free(pair->key);
}

void tls_chains_free(struct tls_chains *chains)
{
	if (chains == NULL)
		return;
	for (size_t i = 0; i < chains->count; i++)
		pair_done(&chains->pairs[i]);
	free(chains->pairs);
	free(chains);
}

static struct tls_pair *add_pair(struct tls_chains *chains)
{
	chains->pairs = mem_resize(chains->pairs, (chains->count + 1) * sizeof(*chains->pairs));
	chains->pairs[chains->count] = (struct tls_pair){ .chain = sk_X509_new_null() };
	return &chains->pairs[chains->count++];
}

void tls_chains_add(struct tls_chains *chains, struct tls_chains *more)
{
	for (size_t i = 0; i < more->count; i++) {
		struct tls_pair *pair = add_pair(chains);

		sk_X509_free(pair->chain);
		*pair = more->pairs[i];
	}
	free(more->pairs);
	free(more);
}

size_t tls_chains_count(const struct tls_chains *chains)
{
	return chains->count;
}

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
		last = add_pair(chains);
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
		(void)add_pair(chains);
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

/* ---- checks ---- */

static void put_name(X509 *certificate, struct buf *out)
{
	char *text = X509_NAME_oneline(X509_get_subject_name(certificate), NULL, 0);

	(void)buf_text(out, text != NULL ? text : "?");
	OPENSSL_free(text);
}

static bool is_in_date(X509 *certificate, int64_t now_s, struct buf *ret_error)
{
	time_t now = (time_t)now_s;
	const char *problem = NULL;

	if (X509_cmp_time(X509_get0_notBefore(certificate), &now) >= 0)
		problem = "is not valid yet";
	else if (X509_cmp_time(X509_get0_notAfter(certificate), &now) <= 0)
		problem = "has expired";
	if (problem == NULL)
		return true;
	(void)buf_text(ret_error, "the certificate of ");
	put_name(certificate, ret_error);
	(void)buf_printf(ret_error, " %s", problem);
	return false;
}

static bool check_chain(const struct tls_pair *pair, int64_t now_s, struct buf *ret_error)
{
	X509 *last = pair->certificate;

	if (!is_in_date(pair->certificate, now_s, ret_error))
		return false;
	for (int i = 0; i < sk_X509_num(pair->chain); i++) {
		X509 *next = sk_X509_value(pair->chain, i);

		if (X509_check_issued(next, last) != X509_V_OK ||
		    X509_verify(last, X509_get0_pubkey(next)) != 1) {
			ERR_clear_error();
			(void)buf_text(ret_error, "the chain is out of order: ");
			put_name(next, ret_error);
			(void)buf_text(ret_error, " did not issue what stands before it");
			return false;
		}
		if (!is_in_date(next, now_s, ret_error))
			return false;
		last = next;
	}
	return true;
}

enum tls_check tls_chains_check(const struct tls_chains *chains, int64_t now_s,
				struct buf *ret_error)
{
	for (size_t i = 0; i < chains->count; i++) {
		const struct tls_pair *pair = &chains->pairs[i];

		if (X509_check_private_key(pair->certificate, pair->key) == 1)
			continue;
		ERR_clear_error();
		(void)buf_text(ret_error, "the private key does not fit the certificate");
		return TLS_CHECK_BAD;
	}
	for (size_t i = 0; i < chains->count; i++)
		if (!check_chain(&chains->pairs[i], now_s, ret_error))
			return TLS_CHECK_DOUBTFUL;
	return TLS_CHECK_GOOD;
}

static int64_t end_of(X509 *certificate)
{
	struct tm end;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1)
		return 0;
	return (int64_t)timegm(&end);
}

int64_t tls_chains_end(const struct tls_chains *chains, struct buf *ret_name)
{
	X509 *first = NULL;

	for (size_t i = 0; i < chains->count; i++) {
		const struct tls_pair *pair = &chains->pairs[i];

		for (int k = -1; k < sk_X509_num(pair->chain); k++) {
			X509 *one = k < 0 ? pair->certificate : sk_X509_value(pair->chain, k);

			if (first == NULL || end_of(one) < end_of(first))
				first = one;
		}
	}
	if (first == NULL)
		return INT64_MAX;
	put_name(first, ret_name);
	return end_of(first);
}

/* ---- to other processes ---- */

static bool put_der(X509 *certificate, struct buf *out)
{
	unsigned char *der = NULL;
	int size = i2d_X509(certificate, &der);
	bool is_good = size > 0 && buf_append(out, der, (size_t)size);

	OPENSSL_free(der);
	return is_good;
}

bool tls_chains_encode(const struct tls_chains *chains, struct buf *out)
{
	struct buf ders = BUF_INIT(CHAIN_BYTES_MAX);
	bool is_good = true;

	for (size_t i = 0; is_good && i < chains->count; i++) {
		const struct tls_pair *pair = &chains->pairs[i];
		struct msg_tls_pair record = { .key = { (const char *)pair->id,
							TLS_KEY_ID_BYTES } };

		buf_reset(&ders);
		is_good = put_der(pair->certificate, &ders);
		for (int k = 0; is_good && k < sk_X509_num(pair->chain); k++)
			is_good = put_der(sk_X509_value(pair->chain, k), &ders);
		record.chain = buf_span(&ders);
		is_good = is_good && msg_tls_pair_encode(out, &record);
	}
	buf_done(&ders);
	return is_good;
}

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
			  decode_pair(add_pair(chains), &record, signer);
	ERR_clear_error();
	if (is_good)
		return chains;
	tls_chains_free(chains);
	return NULL;
}

/* ---- signing, in keysign ---- */

static const struct tls_pair *find_pair(const struct tls_chains *chains, struct span id)
{
	for (size_t i = 0; i < chains->count; i++)
		if (id.n == TLS_KEY_ID_BYTES &&
		    memcmp(chains->pairs[i].id, id.p, TLS_KEY_ID_BYTES) == 0)
			return &chains->pairs[i];
	return NULL;
}

bool tls_chains_has(const struct tls_chains *chains, struct span id)
{
	return find_pair(chains, id) != NULL;
}

static bool set_padding(EVP_PKEY *key, EVP_PKEY_CTX *context, enum tls_padding padding)
{
	if (!EVP_PKEY_is_a(key, "RSA"))
		return padding == TLS_PADDING_NONE;
	if (padding == TLS_PADDING_PKCS1)
		return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
	return padding == TLS_PADDING_PSS &&
	       EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

bool tls_chains_sign(const struct tls_chains *chains, struct span id, enum tls_padding padding,
		     const char *digest, struct span text, struct buf *ret_signature,
		     struct buf *ret_error)
{
	const struct tls_pair *pair = find_pair(chains, id);
	EVP_MD_CTX *context;
	EVP_PKEY_CTX *key_context;
	const unsigned char *bytes = (const unsigned char *)text.p;
	size_t size;
	char *room;
	bool is_good;

	if (pair == NULL) {
		(void)buf_text(ret_error, "no such key");
		return false;
	}
	context = EVP_MD_CTX_new();
	is_good = context != NULL &&
		  EVP_DigestSignInit_ex(context, &key_context, *digest != '\0' ? digest : NULL, NULL,
					NULL, pair->key, NULL) == 1 &&
		  set_padding(pair->key, key_context, padding);
	size = is_good ? (size_t)EVP_PKEY_get_size(pair->key) : 0;
	room = is_good ? buf_room(ret_signature, size) : NULL;
	is_good = room != NULL &&
		  EVP_DigestSign(context, (unsigned char *)room, &size, bytes, text.n) == 1;
	if (is_good)
		buf_grew(ret_signature, size);
	else
		tls_error(ret_error, "cannot sign");
	EVP_MD_CTX_free(context);
	return is_good;
}
