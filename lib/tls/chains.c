/* SPDX-License-Identifier: MIT */
/*
 * Certificates, chains and keys: what is done with them in keysign. See chains.h; chains_read.c makes them
 * of bytes. RFC 5280.
 */

#include "tls/chains.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "ipc/messages.h"
#include "tls/impl.h"

enum { CHAIN_BYTES_MAX = 64 * 1024 };

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

struct tls_pair *tls_chains_add_pair(struct tls_chains *chains)
{
	chains->pairs = mem_resize(chains->pairs, (chains->count + 1) * sizeof(*chains->pairs));
	chains->pairs[chains->count] = (struct tls_pair){ .chain = sk_X509_new_null() };
	return &chains->pairs[chains->count++];
}

void tls_chains_add(struct tls_chains *chains, struct tls_chains *more)
{
	for (size_t i = 0; i < more->count; i++) {
		struct tls_pair *pair = tls_chains_add_pair(chains);

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

/* ---- names ---- */

static bool has_name(X509 *certificate, struct span name)
{
	return X509_check_host(certificate, name.p, name.n, 0, NULL) == 1;
}

static bool any_has_name(const struct tls_chains *chains, const char *name)
{
	for (size_t i = 0; i < chains->count; i++)
		if (has_name(chains->pairs[i].certificate, span_of(name)))
			return true;
	return false;
}

/* "*.example.com" is for "any.example.com", and then `other` must be so too. */
static bool shares_name(X509 *other, const ASN1_STRING *text, bool *has_any)
{
	struct span name = { (const char *)ASN1_STRING_get0_data(text),
			     (size_t)ASN1_STRING_length(text) };
	char *host;
	bool is_shared;

	/* A person has a common name too. */
	if (name.n == 0 || memchr(name.p, '\0', name.n) != NULL || span_has(name, ' '))
		return false;
	*has_any = true;
	host = name.p[0] == '*' ? mem_printf("any%.*s", (int)name.n - 1, name.p + 1) : mem_dup(name);
	is_shared = has_name(other, span_of(host));
	free(host);
	return is_shared;
}

/* One of the DNS names of `old`, or without any its common name. *has_any: it has a name. */
static bool has_name_of(X509 *renewed, X509 *old, bool *has_any)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(old, NID_subject_alt_name, NULL, NULL);
	X509_NAME *subject = X509_get_subject_name(old);
	int common = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	bool is_shared = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && !is_shared; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			is_shared = shares_name(renewed, name->d.dNSName, has_any);
	}
	if (!*has_any && common >= 0)
		is_shared = shares_name(
			renewed,
			X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, common)), has_any);
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return is_shared;
}

static bool has_name_of_any(X509 *renewed, const struct tls_chains *old)
{
	bool has_any = false;

	for (size_t i = 0; i < old->count; i++) {
		bool has_some = false;

		if (has_name_of(renewed, old->pairs[i].certificate, &has_some))
			return true;
		has_any |= has_some;
	}
	return !has_any;
}

bool tls_chains_keep_name(const struct tls_chains *old, const struct tls_chains *renewed,
			  const char *host, struct buf *ret_error)
{
	bool must_have_host = any_has_name(old, host);

	for (size_t i = 0; i < renewed->count; i++) {
		X509 *certificate = renewed->pairs[i].certificate;

		if (must_have_host ? has_name(certificate, span_of(host))
				   : has_name_of_any(certificate, old))
			continue;
		(void)buf_text(ret_error, "the certificate of ");
		put_name(certificate, ret_error);
		(void)buf_printf(ret_error, " is not for %s",
				 must_have_host ? host : "any name of the one before");
		return false;
	}
	return true;
}

/* ---- ends ---- */

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
