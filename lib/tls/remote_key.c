/* SPDX-License-Identifier: MIT */
/*
 * An OpenSSL provider, built in, with keys that sign by asking another process; see remote_key.h.
 * What is known of a key comes from its public half, which an ordinary key of OpenSSL holds; the
 * one operation is to sign a whole text at once, and none decrypts. Runs in smtpd and smtp, in their
 * jail. Implements provider-keymgmt(7) and provider-signature(7).
 */

#include "tls/remote_key.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tls/impl.h"

#define PROVIDER "postern"
#define SIGNATURE "POSTERN-SIGNATURE"
#define KEY_PARAM "postern-key" /* in import: the bytes of a struct key, whose members are borrowed */

struct key {
	EVP_PKEY *public_half;
	const struct tls_signer *signer;
	unsigned char id[TLS_KEY_ID_BYTES];
};

struct signing {
	struct key *key; /* borrowed: OpenSSL keeps it as long as this */
	enum tls_padding padding;
	char digest[32];
};

/* ---- keys ---- */

static void *key_new(void *provider)
{
	(void)provider;
	return NEW(struct key);
}

static void key_free(void *data)
{
	struct key *key = data;

	if (key != NULL)
		EVP_PKEY_free(key->public_half);
	free(key);
}

static int key_has(const void *data, int selection)
{
	const struct key *key = data;

	(void)selection;
	return key != NULL && key->public_half != NULL;
}

static int key_match(const void *left, const void *right, int selection)
{
	const struct key *a = left, *b = right;

	(void)selection;
	return a->public_half != NULL && b->public_half != NULL &&
	       EVP_PKEY_eq(a->public_half, b->public_half) == 1;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[])
{
	struct key *key = data, from;
	const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, KEY_PARAM);

	(void)selection;
	if (param == NULL || param->data_type != OSSL_PARAM_OCTET_STRING ||
	    param->data_size != sizeof(from))
		return 0;
	memcpy(&from, param->data, sizeof(from));
	if (EVP_PKEY_up_ref(from.public_half) != 1)
		return 0;
	*key = from;
	return 1;
}

static const OSSL_PARAM *key_import_types(int selection)
{
	static const OSSL_PARAM types[] = { OSSL_PARAM_octet_string(KEY_PARAM, NULL, 0),
					    OSSL_PARAM_END };

	(void)selection;
	return types;
}

/* To compare it with that of a certificate. There is nothing private to give. */
static int key_export(void *data, int selection, OSSL_CALLBACK *take, void *context)
{
	struct key *key = data;
	OSSL_PARAM *params = NULL;
	int is_good;

	(void)selection;
	if (EVP_PKEY_todata(key->public_half, EVP_PKEY_PUBLIC_KEY, &params) != 1)
		return 0;
	is_good = take(params, context);
	OSSL_PARAM_free(params);
	return is_good;
}

static const OSSL_PARAM *key_export_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END
	};

	(void)selection;
	return types;
}

static int key_get_params(void *data, OSSL_PARAM params[])
{
	struct key *key = data;

	return EVP_PKEY_get_params(key->public_half, params);
}

static const OSSL_PARAM *key_gettable_params(void *provider)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)provider;
	return types;
}

static const char *key_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? SIGNATURE : NULL;
}

/* ---- signatures ---- */

static void *signing_new(void *provider, const char *properties)
{
	(void)provider;
	(void)properties;
	return NEW(struct signing);
}

static void signing_free(void *data)
{
	free(data);
}

/* OpenSSL says "pss" or a number, according to who asks. */
static bool read_padding(const OSSL_PARAM *param, enum tls_padding *ret)
{
	const char *text;
	int number;

	if (param->data_type == OSSL_PARAM_UTF8_STRING) {
		text = param->data;
		number = strcmp(text, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0       ? RSA_PKCS1_PSS_PADDING
			 : strcmp(text, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0 ? RSA_PKCS1_PADDING
									     : 0;
	} else if (OSSL_PARAM_get_int(param, &number) != 1) {
		return false;
	}
	if (number != RSA_PKCS1_PSS_PADDING && number != RSA_PKCS1_PADDING)
		return false;
	*ret = number == RSA_PKCS1_PADDING ? TLS_PADDING_PKCS1 : TLS_PADDING_PSS;
	return true;
}

/* The salt of PSS is always as long as the digest: RFC 8446 4.2.3. */
static int signing_set_params(void *data, const OSSL_PARAM params[])
{
	struct signing *signing = data;
	const OSSL_PARAM *padding = params != NULL
					    ? OSSL_PARAM_locate_const(params,
								      OSSL_SIGNATURE_PARAM_PAD_MODE)
					    : NULL;

	return padding == NULL || read_padding(padding, &signing->padding);
}

static const OSSL_PARAM *signing_settable_params(void *data, void *provider)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)data;
	(void)provider;
	return types;
}

/* What TLS 1.2 and 1.3 sign with; MD5-SHA1 is that of older versions. */
static bool is_digest(const char *name)
{
	static const char *const names[] = { "SHA256", "SHA384", "SHA512", "SHA2-256", "SHA2-384",
					     "SHA2-512", "MD5-SHA1" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (OPENSSL_strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

static int signing_init(void *data, const char *digest, void *key_data, const OSSL_PARAM params[])
{
	struct signing *signing = data;

	if (key_data != NULL)
		signing->key = key_data;
	if (signing->key == NULL)
		return 0;

	bool is_edwards = EVP_PKEY_is_a(signing->key->public_half, "ED25519") ||
			  EVP_PKEY_is_a(signing->key->public_half, "ED448");
	bool has_digest = digest != NULL && *digest != '\0' && strcmp(digest, "UNDEF") != 0;

	if (is_edwards == has_digest || (has_digest && !is_digest(digest)))
		return 0;
	signing->padding = EVP_PKEY_is_a(signing->key->public_half, "RSA") ? TLS_PADDING_PKCS1
									   : TLS_PADDING_NONE;
	(void)OPENSSL_strlcpy(signing->digest, has_digest ? digest : "", sizeof(signing->digest));
	return signing_set_params(signing, params);
}

static int signing_sign(void *data, unsigned char *out, size_t *out_size, size_t room,
			const unsigned char *text, size_t text_size)
{
	struct signing *signing = data;
	const struct tls_signer *signer = signing->key->signer;
	struct span id = { (const char *)signing->key->id, TLS_KEY_ID_BYTES };
	struct span signature;

	if (out == NULL) {
		*out_size = (size_t)EVP_PKEY_get_size(signing->key->public_half);
		return 1;
	}
	if (!signer->sign(signer->context, id, signing->padding, signing->digest,
			  (struct span){ (const char *)text, text_size }, &signature) ||
	    signature.n > room)
		return 0;
	memcpy(out, signature.p, signature.n);
	*out_size = signature.n;
	return 1;
}

/* ---- the provider ---- */

typedef void dispatch_fn(void);
#define CALL(number, function) { number, (dispatch_fn *)(function) }

static const OSSL_DISPATCH key_calls[] = {
	CALL(OSSL_FUNC_KEYMGMT_NEW, key_new),
	CALL(OSSL_FUNC_KEYMGMT_FREE, key_free),
	CALL(OSSL_FUNC_KEYMGMT_HAS, key_has),
	CALL(OSSL_FUNC_KEYMGMT_MATCH, key_match),
	CALL(OSSL_FUNC_KEYMGMT_IMPORT, key_import),
	CALL(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),
	CALL(OSSL_FUNC_KEYMGMT_EXPORT, key_export),
	CALL(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_export_types),
	CALL(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),
	CALL(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params),
	CALL(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, key_operation),
	{ 0, NULL },
};

static const OSSL_DISPATCH signature_calls[] = {
	CALL(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
	CALL(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
	CALL(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_init),
	CALL(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_sign),
	CALL(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set_params),
	CALL(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable_params),
	{ 0, NULL },
};

static const char *const kinds[] = { "RSA", "EC", "ED25519", "ED448" };

static const OSSL_ALGORITHM *query(void *provider, int operation, int *ret_no_cache)
{
	static const OSSL_ALGORITHM keys[] = {
		{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=" PROVIDER, key_calls, NULL },
		{ "EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=" PROVIDER, key_calls, NULL },
		{ "ED25519:1.3.101.112", "provider=" PROVIDER, key_calls, NULL },
		{ "ED448:1.3.101.113", "provider=" PROVIDER, key_calls, NULL },
		{ NULL, NULL, NULL, NULL },
	};
	static const OSSL_ALGORITHM signatures[] = {
		{ SIGNATURE, "provider=" PROVIDER, signature_calls, NULL },
		{ NULL, NULL, NULL, NULL },
	};

	(void)provider;
	*ret_no_cache = 0;
	return operation == OSSL_OP_KEYMGMT     ? keys
	       : operation == OSSL_OP_SIGNATURE ? signatures
						: NULL;
}

static int start_provider(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *from_core,
			  const OSSL_DISPATCH **ret_calls, void **ret_context)
{
	static const OSSL_DISPATCH calls[] = { CALL(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
					       { 0, NULL } };
	static int context;

	(void)handle;
	(void)from_core;
	*ret_calls = calls;
	*ret_context = &context;
	return 1;
}

bool tls_remote_keys_open(struct buf *ret_error)
{
	static OSSL_PROVIDER *provider; /* loaded for good */

	if (provider != NULL)
		return true;
	/* All that does not ask for ours by name gets OpenSSL's own. */
	if (OSSL_PROVIDER_add_builtin(NULL, PROVIDER, start_provider) == 1 &&
	    (provider = OSSL_PROVIDER_load(NULL, PROVIDER)) != NULL &&
	    EVP_set_default_properties(NULL, "?provider!=" PROVIDER) == 1)
		return true;
	tls_error(ret_error, "cannot add a provider to OpenSSL");
	return false;
}

bool tls_key_id(EVP_PKEY *key, unsigned char ret_id[TLS_KEY_ID_BYTES])
{
	unsigned char *der = NULL;
	int size = i2d_PUBKEY(key, &der);
	bool is_good = size > 0 && EVP_Digest(der, (size_t)size, ret_id, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	return is_good;
}

static EVP_PKEY *make(const char *kind, struct key *key)
{
	OSSL_PARAM params[] = { OSSL_PARAM_octet_string(KEY_PARAM, key, sizeof(*key)),
				OSSL_PARAM_END };
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, "provider=" PROVIDER);
	EVP_PKEY *made = NULL;

	if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &made, EVP_PKEY_KEYPAIR, params) != 1)
		made = NULL;
	EVP_PKEY_CTX_free(context);
	return made;
}

EVP_PKEY *tls_remote_key(EVP_PKEY *public_key, const struct tls_signer *signer)
{
	struct key key = { .public_half = public_key, .signer = signer };

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (EVP_PKEY_is_a(public_key, kinds[i]))
			return tls_key_id(public_key, key.id) ? make(kinds[i], &key) : NULL;
	return NULL;
}
