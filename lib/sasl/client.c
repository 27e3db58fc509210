/* SPDX-License-Identifier: MIT */
/* Mechanisms of the SMTP client; see client.h. What the server sends is untrusted. */

#include "sasl/client.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/random.h>

#include "base/base64.h"
#include "base/log.h"

enum { NONCE_BYTES = 18 };

struct sasl_client_mechanism {
	struct sasl_mechanism info;
	bool takes_token;
	bool (*start)(struct sasl_client *client, struct buf *out); /* NULL: the server begins */
	bool (*answer)(struct sasl_client *client, struct span challenge, struct buf *out);
	bool must_satisfy; /* the server has to prove something */
};

/* ---- PLAIN, LOGIN, CRAM-MD5 ---- */

static bool start_plain(struct sasl_client *client, struct buf *out)
{
	(void)buf_char(out, '\0');
	(void)buf_add(out, client->login->user);
	(void)buf_char(out, '\0');
	(void)buf_add(out, client->login->password);
	return true;
}

/* A server that asks although it was told: RFC 4954 4 has no place for that. */
static bool answer_nothing(struct sasl_client *client, struct span challenge, struct buf *out)
{
	(void)client;
	(void)challenge;
	(void)out;
	return false;
}

/* Whatever the prompts are, name and password is the order. */
static bool answer_login(struct sasl_client *client, struct span challenge, struct buf *out)
{
	(void)challenge;
	if (client->step > 2)
		return false;
	(void)buf_add(out, client->step == 1 ? client->login->user : client->login->password);
	return true;
}

static bool answer_cram_md5(struct sasl_client *client, struct span challenge, struct buf *out)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	struct span password = client->login->password;

	if (client->step > 1 || challenge.n == 0 ||
	    HMAC(EVP_md5(), password.p != NULL ? password.p : "", (int)password.n,
		 (const unsigned char *)challenge.p, challenge.n, sum, &size) == NULL)
		return false;
	(void)buf_add(out, client->login->user);
	(void)buf_char(out, ' ');
	for (unsigned i = 0; i < size; i++)
		(void)buf_printf(out, "%02x", sum[i]);
	return true;
}

/* ---- SCRAM ---- */

static bool start_scram(struct sasl_client *client, struct buf *out)
{
	bool is_sha1 = span_ends(span_of(client->mechanism->info.name), SPAN("-1"));
	char random[NONCE_BYTES];
	struct buf nonce = BUF_INIT(64);

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		fatal("no random numbers");
	(void)base64_encode(&nonce, (struct span){ random, sizeof(random) });
	scram_first(&client->scram, is_sha1 ? SCRAM_SHA1 : SCRAM_SHA256, client->login->user,
		    buf_str(&nonce), out);
	buf_done(&nonce);
	return true;
}

static bool answer_scram(struct sasl_client *client, struct span challenge, struct buf *out)
{
	if (client->step == 1)
		return scram_final(&client->scram, challenge, client->login->password, out);
	/* The server's proof comes as one more challenge; the answer to it is empty. */
	client->is_satisfied = client->step == 2 && scram_verify(&client->scram, challenge);
	return client->is_satisfied;
}

/* ---- tokens ---- */

static bool start_xoauth2(struct sasl_client *client, struct buf *out)
{
	(void)buf_printf(out, "user=%.*s\x01" "auth=Bearer %.*s\x01\x01",
			 SPAN_ARG(client->login->user), SPAN_ARG(client->login->password));
	return true;
}

static bool start_oauthbearer(struct sasl_client *client, struct buf *out)
{
	(void)buf_printf(out, "n,a=%.*s,\x01host=%s\x01port=%u\x01" "auth=Bearer %.*s\x01\x01",
			 SPAN_ARG(client->login->user), client->login->host, client->login->port,
			 SPAN_ARG(client->login->password));
	return true;
}

/* The challenge says what is wrong with the token; an answer is owed before the refusal comes. */
static bool answer_xoauth2(struct sasl_client *client, struct span challenge, struct buf *out)
{
	(void)challenge;
	(void)out;
	return client->step == 1;
}

static bool answer_oauthbearer(struct sasl_client *client, struct span challenge, struct buf *out)
{
	(void)challenge;
	(void)buf_char(out, '\x01'); /* RFC 7628 3.2.3 */
	return client->step == 1;
}

/* ---- which ---- */

/* Best first. */
static const struct sasl_client_mechanism mechanisms[] = {
	{ { "SCRAM-SHA-256", SASL_DICTIONARY | SASL_MUTUAL_AUTH }, false, start_scram, answer_scram,
	  true },
	{ { "SCRAM-SHA-1", SASL_DICTIONARY | SASL_MUTUAL_AUTH }, false, start_scram, answer_scram,
	  true },
	{ { "CRAM-MD5", SASL_DICTIONARY | SASL_ACTIVE }, false, NULL, answer_cram_md5, false },
	{ { "PLAIN", SASL_PLAINTEXT }, false, start_plain, answer_nothing, false },
	{ { "LOGIN", SASL_PLAINTEXT }, false, NULL, answer_login, false },
	{ { "OAUTHBEARER", SASL_PLAINTEXT | SASL_ACTIVE }, true, start_oauthbearer,
	  answer_oauthbearer, false },
	{ { "XOAUTH2", SASL_PLAINTEXT | SASL_ACTIVE }, true, start_xoauth2, answer_xoauth2, false },
};

void sasl_client_prepare(void)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	const EVP_MD *const digests[] = { EVP_md5(), EVP_sha1(), EVP_sha256() };

	for (size_t i = 0; i < ARRAY_LEN(digests); i++)
		(void)HMAC(digests[i], "", 0, (const unsigned char *)"", 0, sum, NULL);
}

const struct sasl_client_mechanism *sasl_client_choose(const struct sasl_mechanisms *offer,
						       const struct sasl_options *options,
						       const struct sasl_login *login)
{
	for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++) {
		const struct sasl_client_mechanism *mechanism = &mechanisms[i];

		if (sasl_mechanism_find(offer, span_of(mechanism->info.name)) != NULL &&
		    sasl_is_allowed(options, &mechanism->info) &&
		    (mechanism->takes_token || !login->is_token))
			return mechanism;
	}
	return NULL;
}

const char *sasl_client_name(const struct sasl_client_mechanism *mechanism)
{
	return mechanism->info.name;
}

bool sasl_client_start(struct sasl_client *client, const struct sasl_client_mechanism *mechanism,
		       const struct sasl_login *login, struct buf *out)
{
	*client = (struct sasl_client){ .mechanism = mechanism, .login = login };
	client->is_satisfied = !mechanism->must_satisfy;
	return mechanism->start != NULL && mechanism->start(client, out);
}

bool sasl_client_answer(struct sasl_client *client, struct span challenge, struct buf *out)
{
	client->step++;
	return client->mechanism->answer(client, challenge, out) && !buf_is_over(out);
}

bool sasl_client_is_satisfied(const struct sasl_client *client)
{
	return client->is_satisfied;
}

void sasl_client_done(struct sasl_client *client)
{
	scram_done(&client->scram);
}
