/* SPDX-License-Identifier: MIT */
/* SCRAM; see scram.h. Runs in smtp, on what servers send. RFC 5802 section 3 has the formulas. */

#include "sasl/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"

enum { MESSAGE_MAX = 4096, SALT_MAX = 1024 };

static const EVP_MD *digest(const struct scram *scram)
{
	return scram->hash == SCRAM_SHA1 ? EVP_sha1() : EVP_sha256();
}

static size_t key_size(const struct scram *scram)
{
	return scram->hash == SCRAM_SHA1 ? 20 : 32;
}

static bool hmac(const struct scram *scram, const unsigned char *key, struct span text,
		 unsigned char ret[SCRAM_KEY_MAX])
{
	return HMAC(digest(scram), key, (int)key_size(scram), (const unsigned char *)text.p, text.n,
		    ret, NULL) != NULL;
}

/* RFC 5802 5.1: "," and "=" cannot stand in a name. */
static void add_name(struct buf *out, struct span user)
{
	for (size_t i = 0; i < user.n; i++) {
		if (user.p[i] == ',')
			(void)buf_text(out, "=2C");
		else if (user.p[i] == '=')
			(void)buf_text(out, "=3D");
		else
			(void)buf_char(out, user.p[i]);
	}
}

void scram_first(struct scram *scram, enum scram_hash hash, struct span user, const char *nonce,
		 struct buf *out)
{
	*scram = (struct scram){ .hash = hash };
	(void)snprintf(scram->nonce, sizeof(scram->nonce), "%s", nonce);
	buf_init(&scram->first_bare, MESSAGE_MAX);
	(void)buf_text(&scram->first_bare, "n=");
	add_name(&scram->first_bare, user);
	(void)buf_printf(&scram->first_bare, ",r=%s", scram->nonce);
	(void)buf_text(out, "n,,");
	(void)buf_add(out, buf_span(&scram->first_bare));
}

/* Takes "X=value" from the front of a list between commas. */
static bool take_attribute(struct span *rest, char name, struct span *ret)
{
	struct span left, right;

	if (!span_cut(*rest, ',', &left, &right)) {
		left = *rest;
		right = (struct span){ NULL, 0 };
	}
	if (left.n < 2 || left.p[0] != name || left.p[1] != '=')
		return false;
	*ret = span_from(left, 2);
	*rest = right;
	return true;
}

struct server_first {
	struct span nonce;
	struct buf salt;
	int iterations;
};

/* "r=nonce,s=salt,i=count[,extensions]"; "m=" in front is an extension that we do not know. */
static bool parse_first(const struct scram *scram, struct span message, struct server_first *ret)
{
	struct span salt, count;
	uint64_t iterations;

	if (!take_attribute(&message, 'r', &ret->nonce) || !take_attribute(&message, 's', &salt) ||
	    !take_attribute(&message, 'i', &count))
		return false;
	if (!span_starts(ret->nonce, span_of(scram->nonce)) ||
	    ret->nonce.n == strlen(scram->nonce) || !base64_decode(&ret->salt, salt) ||
	    ret->salt.length == 0)
		return false;
	if (!span_u64(count, SCRAM_ITERATIONS_MAX, &iterations) ||
	    iterations < SCRAM_ITERATIONS_MIN)
		return false;
	ret->iterations = (int)iterations;
	return true;
}

/* ClientProof, and what the server will have to show. */
static bool make_proof(struct scram *scram, const struct server_first *first, struct span password,
		       struct span auth_message, unsigned char proof[SCRAM_KEY_MAX])
{
	unsigned char salted[SCRAM_KEY_MAX], client_key[SCRAM_KEY_MAX], stored[SCRAM_KEY_MAX];
	unsigned char server_key[SCRAM_KEY_MAX], signature[SCRAM_KEY_MAX];
	size_t size = key_size(scram);
	bool is_made =
		PKCS5_PBKDF2_HMAC(password.p != NULL ? password.p : "", (int)password.n,
				  (const unsigned char *)buf_str(&first->salt),
				  (int)first->salt.length, first->iterations, digest(scram),
				  (int)size, salted) == 1 &&
		hmac(scram, salted, SPAN("Client Key"), client_key) &&
		EVP_Digest(client_key, size, stored, NULL, digest(scram), NULL) == 1 &&
		hmac(scram, stored, auth_message, signature) &&
		hmac(scram, salted, SPAN("Server Key"), server_key) &&
		hmac(scram, server_key, auth_message, scram->server_signature);

	for (size_t i = 0; is_made && i < size; i++)
		proof[i] = client_key[i] ^ signature[i];
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client_key, sizeof(client_key));
	OPENSSL_cleanse(server_key, sizeof(server_key));
	return is_made;
}

bool scram_final(struct scram *scram, struct span challenge, struct span password, struct buf *out)
{
	struct server_first first = { .salt = BUF_INIT(SALT_MAX) };
	struct buf bare = BUF_INIT(MESSAGE_MAX), message = BUF_INIT(3 * MESSAGE_MAX);
	unsigned char proof[SCRAM_KEY_MAX];
	bool is_good = parse_first(scram, challenge, &first);

	if (is_good) {
		/* "biws" is "n,,": no channel binding. */
		(void)buf_printf(&bare, "c=biws,r=%.*s", SPAN_ARG(first.nonce));
		(void)buf_printf(&message, "%s,%.*s,%s", buf_str(&scram->first_bare),
				 SPAN_ARG(challenge), buf_str(&bare));
		is_good = !buf_is_over(&bare) && !buf_is_over(&message) &&
			  make_proof(scram, &first, password, buf_span(&message), proof);
	}
	if (is_good) {
		(void)buf_printf(out, "%s,p=", buf_str(&bare));
		is_good = base64_encode(out, (struct span){ (const char *)proof, key_size(scram) });
	}
	buf_done(&first.salt);
	buf_done(&bare);
	buf_done(&message);
	return is_good;
}

bool scram_verify(const struct scram *scram, struct span message)
{
	struct buf signature = BUF_INIT(SALT_MAX);
	struct span value;
	bool is_good = take_attribute(&message, 'v', &value) &&
		       base64_decode(&signature, value) && signature.length == key_size(scram) &&
		       CRYPTO_memcmp(buf_str(&signature), scram->server_signature,
				     key_size(scram)) == 0;

	buf_done(&signature);
	return is_good;
}

void scram_done(struct scram *scram)
{
	buf_done(&scram->first_bare);
	OPENSSL_cleanse(scram, sizeof(*scram));
}
