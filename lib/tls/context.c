/* SPDX-License-Identifier: MIT */
/*
 * Settings and certificates of many sessions as one context of OpenSSL. Runs in who speaks TLS, in
 * its jail; RFC 8446, 5246, 7301 (ALPN), 5077 (tickets).
 */

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "tls/impl.h"
#include "tls/chains.h"
#include "tls/limits.h"
#include "tls/options.h"

static const struct {
	unsigned bit;
	int version;
	uint64_t off;
} versions[] = {
	{ TLS_1_0, TLS1_VERSION, SSL_OP_NO_TLSv1 },
	{ TLS_1_1, TLS1_1_VERSION, SSL_OP_NO_TLSv1_1 },
	{ TLS_1_2, TLS1_2_VERSION, SSL_OP_NO_TLSv1_2 },
	{ TLS_1_3, TLS1_3_VERSION, SSL_OP_NO_TLSv1_3 },
};

bool tls_set_limits(SSL_CTX *context, SSL *ssl, const struct tls_limits *limits,
		    struct buf *ret_error)
{
	struct buf ciphers = BUF_INIT(16384);
	uint64_t off = 0;
	unsigned allowed;
	int least = 0, most = 0, done;

	if (!tls_versions_parse(span_of(limits->protocols), &allowed, ret_error))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if ((allowed & versions[i].bit) == 0) {
			off |= versions[i].off;
			continue;
		}
		least = least != 0 ? least : versions[i].version;
		most = versions[i].version;
	}
	if (!tls_ciphers_make(limits, &ciphers, ret_error)) {
		buf_done(&ciphers);
		return false;
	}
	if (ssl != NULL) {
		(void)SSL_set_options(ssl, off);
		done = SSL_set_min_proto_version(ssl, least) == 1 &&
		       SSL_set_max_proto_version(ssl, most) == 1 &&
		       SSL_set_cipher_list(ssl, buf_str(&ciphers)) == 1;
	} else {
		(void)SSL_CTX_set_options(context, off);
		done = SSL_CTX_set_min_proto_version(context, least) == 1 &&
		       SSL_CTX_set_max_proto_version(context, most) == 1 &&
		       SSL_CTX_set_cipher_list(context, buf_str(&ciphers)) == 1;
	}
	if (!done)
		tls_error(ret_error, "no cipher is left by the grade and what is excluded");
	buf_done(&ciphers);
	return done;
}

/* ---- groups ---- */

/* The words of a list that this OpenSSL knows: one that it does not would spoil all. */
static void add_groups(SSL_CTX *context, const char *list, struct buf *out)
{
	struct span rest = span_of(list), word;

	while ((word = span_word(&rest, ", \t\r\n:")).n > 0) {
		char *name = mem_dup(word);

		if (SSL_CTX_set1_groups_list(context, name) == 1)
			(void)buf_printf(out, "%s%s", out->length > 0 ? ":" : "", name);
		free(name);
	}
	ERR_clear_error();
}

static bool set_groups(struct tls_context *context, struct buf *ret_error)
{
	struct buf list = BUF_INIT(2000);
	bool is_good;

	add_groups(context->ssl, conf->tls_eecdh_auto_curves, &list);
	add_groups(context->ssl, conf->tls_ffdhe_auto_groups, &list);
	is_good = list.length > 0 && SSL_CTX_set1_groups_list(context->ssl, list.data) == 1;
	buf_done(&list);
	if (!is_good)
		tls_error(ret_error, "no group for the exchange of keys is left");
	return is_good;
}

/* ---- server ---- */

/* A client that wants something else than SMTP was led here by somebody (ALPACA): RFC 7301 3.2. */
static int select_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_size,
			   const unsigned char *list, unsigned int list_size, void *arg)
{
	static const unsigned char smtp[] = { 4, 's', 'm', 't', 'p' };
	unsigned char *found = NULL;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&found, ret_size, smtp, sizeof(smtp), list, list_size) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret = smtp + 1;
	return SSL_TLSEXT_ERR_OK;
}

static bool use_pair(SSL *ssl, const struct tls_pair *pair)
{
	return SSL_use_cert_and_key(ssl, pair->certificate, pair->key, pair->chain, 1) == 1;
}

static bool is_host_name(const char *name)
{
	size_t size = strlen(name);

	return size > 0 && size < 256 && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == size;
}

/* The client says whom it wants to talk to: RFC 6066 3. What is no name is as if nothing was said. */
static int on_server_name(SSL *ssl, int *ret_alert, void *arg)
{
	struct tls *tls = tls_of(ssl);
	const struct tls_settings *settings = &tls->context->settings;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct tls_chains *chains;
	bool is_good = true;

	(void)arg;
	if (name == NULL || !is_host_name(name))
		return SSL_TLSEXT_ERR_NOACK;
	for (size_t i = 0; i <= strlen(name); i++)
		tls->server_name[i] = ascii_lower(name[i]);
	if (settings->find_chains == NULL)
		return SSL_TLSEXT_ERR_OK;
	chains = settings->find_chains(settings->find_context, span_of(tls->server_name),
				       &tls->has_find_failed);
	if (tls->has_find_failed) {
		*ret_alert = SSL_AD_INTERNAL_ERROR;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	if (chains == NULL)
		return SSL_TLSEXT_ERR_OK;
	tls->info.has_name_chains = true;
	SSL_certs_clear(ssl);
	for (size_t i = 0; i < chains->count; i++)
		is_good &= use_pair(ssl, &chains->pairs[i]);
	tls_chains_free(chains);
	if (is_good)
		return SSL_TLSEXT_ERR_OK;
	*ret_alert = SSL_AD_INTERNAL_ERROR;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* RFC 5077; 1: goes on, 2: and a new ticket is made, 0: no such key, -1: failure. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int must_make)
{
	struct tls_context *context = tls_of(ssl)->context;
	char digest[] = "SHA256";
	size_t i = 0;

	if (must_make != 0 &&
	    RAND_bytes(iv, EVP_CIPHER_get_iv_length(context->ticket_cipher)) != 1)
		return -1;
	while (must_make == 0 && i < context->ticket_count &&
	       memcmp(context->tickets[i], name, 16) != 0)
		i++;
	if (i >= context->ticket_count)
		return 0;

	unsigned char *key = context->tickets[i];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key + 48, 32),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_END,
	};

	if (EVP_MAC_CTX_set_params(mac, params) != 1)
		return -1;
	if (must_make != 0) {
		memcpy(name, key, 16);
		return EVP_EncryptInit_ex2(cipher, context->ticket_cipher, key + 16, iv, NULL) == 1
			       ? 1
			       : -1;
	}
	if (EVP_DecryptInit_ex2(cipher, context->ticket_cipher, key + 16, iv, NULL) != 1)
		return -1;
	/* TLS 1.3 makes a new one anyway: they are good for once. */
	return i == 0 && SSL_version(ssl) != TLS1_3_VERSION ? 1 : 2;
}

void tls_context_set_tickets(struct tls_context *context, struct span keys)
{
	context->ticket_count = 0;
	if (context->settings.session_timeout_s > 0 && context->ticket_cipher != NULL) {
		while (keys.n >= TLS_TICKET_BYTES && context->ticket_count < TLS_TICKETS_MAX) {
			memcpy(context->tickets[context->ticket_count++], keys.p, TLS_TICKET_BYTES);
			keys = span_from(keys, TLS_TICKET_BYTES);
		}
	}
	if (context->ticket_count > 0)
		(void)SSL_CTX_clear_options(context->ssl, SSL_OP_NO_TICKET);
	else
		(void)SSL_CTX_set_options(context->ssl, SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_num_tickets(context->ssl, context->ticket_count > 0 ? 1 : 0);
}

/* Trust is judged after the handshake, so that the session can say what is wrong. */
static int accept_any(int is_good, X509_STORE_CTX *store)
{
	(void)is_good;
	(void)store;
	return 1;
}

static void set_server(struct tls_context *context)
{
	const struct tls_settings *settings = &context->settings;
	SSL_CTX *ssl = context->ssl;
	unsigned char scope[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	SSL_CTX_set_alpn_select_cb(ssl, select_protocol, NULL);
	(void)SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
	(void)SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket);
	if (EVP_Digest(settings->session_scope, strlen(settings->session_scope), scope, &size,
		       EVP_sha256(), NULL) == 1)
		(void)SSL_CTX_set_session_id_context(ssl, scope, size);
	(void)SSL_CTX_set_session_cache_mode(ssl, settings->always_has_session_id
							  ? SSL_SESS_CACHE_SERVER |
								    SSL_SESS_CACHE_NO_INTERNAL
							  : SSL_SESS_CACHE_OFF);
	if (settings->session_timeout_s > 0)
		(void)SSL_CTX_set_timeout(ssl, settings->session_timeout_s);
	if ((tls_options() & SSL_OP_NO_TICKET) == 0)
		context->ticket_cipher = tls_ticket_cipher();
	tls_context_set_tickets(context, (struct span){ NULL, 0 });
	if (conf->tls_preempt_cipherlist)
		(void)SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
	if (conf->tls_trust_server_ccerts)
		(void)SSL_CTX_set_purpose(ssl, X509_PURPOSE_ANY);
	if (settings->asks_peer)
		SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, accept_any);
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *tls = tls_of(ssl);

	SSL_SESSION_free(tls->session);
	tls->session = session;
	return 1;
}

static void set_client(struct tls_context *context)
{
	(void)SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_CLIENT |
								   SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context->ssl, on_new_session);
	SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, accept_any);
	if (SSL_CTX_dane_enable(context->ssl) == 1)
		tls_dane_use_digests(context->ssl);
}

/* ---- all ---- */

/* Without it no fingerprint would ever match. */
static bool check_digest(const char *name, struct buf *ret_error)
{
	EVP_MD *digest = EVP_MD_fetch(NULL, name, NULL);

	EVP_MD_free(digest);
	ERR_clear_error();
	if (digest == NULL)
		(void)buf_printf(ret_error, "\"%s\" is no digest for fingerprints", name);
	return digest != NULL;
}

static bool set_chains(SSL_CTX *ssl, const struct tls_chains *chains, struct buf *ret_error)
{
	for (size_t i = 0; chains != NULL && i < chains->count; i++) {
		const struct tls_pair *pair = &chains->pairs[i];

		if (SSL_CTX_use_cert_and_key(ssl, pair->certificate, pair->key, pair->chain, 1) != 1) {
			tls_error(ret_error, "cannot use a certificate");
			return false;
		}
	}
	return true;
}

static void set_files(SSL_CTX *ssl, const struct tls_settings *settings)
{
	const struct tls_files *files = settings->files;

	(void)SSL_CTX_set_dh_auto(ssl, 1);
	if (files == NULL)
		return;
	SSL_CTX_set1_cert_store(ssl, files->trust);
	if (files->names != NULL && settings->role == TLS_SERVER)
		SSL_CTX_set_client_CA_list(ssl, SSL_dup_CA_list(files->names));
	if (files->dh != NULL && EVP_PKEY_up_ref(files->dh) == 1 &&
	    SSL_CTX_set0_tmp_dh_pkey(ssl, files->dh) != 1)
		EVP_PKEY_free(files->dh);
}

struct tls_context *tls_context_new(const struct tls_settings *settings,
				    const struct tls_chains *chains, struct buf *ret_error)
{
	bool is_server = settings->role == TLS_SERVER;
	struct tls_context *context = NEW(struct tls_context);

	context->settings = *settings;
	context->ssl = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	if (context->ssl == NULL) {
		tls_error(ret_error, "OpenSSL");
		free(context);
		return NULL;
	}
	(void)SSL_CTX_set_options(context->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
							tls_options());
	(void)SSL_CTX_set_mode(context->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
						     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
						     SSL_MODE_RELEASE_BUFFERS);
	/* The chain is what the administrator put into the file: nothing is added to it. */
	(void)SSL_CTX_set_mode(context->ssl, SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_verify_depth(context->ssl, settings->verify_depth + 1);
	set_files(context->ssl, settings);
	if (is_server)
		set_server(context);
	else
		set_client(context);
	if (check_digest(settings->fingerprint_digest, ret_error) && set_groups(context, ret_error) &&
	    tls_set_limits(context->ssl, NULL, &settings->limits, ret_error) &&
	    set_chains(context->ssl, chains, ret_error))
		return context;
	tls_context_free(context);
	return NULL;
}

void tls_context_free(struct tls_context *context)
{
	if (context == NULL)
		return;
	SSL_CTX_free(context->ssl);
	OPENSSL_cleanse(context->tickets, sizeof(context->tickets));
	free(context);
}
