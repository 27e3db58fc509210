/* SPDX-License-Identifier: MIT */
/*
 * Who the peer is by its certificate, and how a session is described. Every text in a certificate is
 * the peer's: names are made fit for logs and headers here. RFC 6125, 5280; Runs in who speaks TLS.
 */

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "tls/impl.h"

enum { NAME_MAX_BYTES = 256 };

/* A name as text: none when it is too long, not UTF-8, or has a control character. */
static char *clean(const unsigned char *bytes, int size)
{
	struct span text = { (const char *)bytes, size > 0 ? (size_t)size : 0 };

	if (text.n == 0 || text.n > NAME_MAX_BYTES || !utf8_is_valid(text))
		return mem_dup_str("");
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
			return mem_dup_str("");
	return mem_dup(text);
}

/* The only entry of that kind, else "": of two common names nobody knows which one counts. */
static char *name_part(X509_NAME *name, int nid)
{
	int at = X509_NAME_get_index_by_NID(name, nid, -1);
	unsigned char *text = NULL;
	char *made;
	int size;

	if (at < 0 || X509_NAME_get_index_by_NID(name, nid, at) >= 0)
		return mem_dup_str("");
	size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	made = clean(text, size);
	OPENSSL_free(text);
	return made;
}

static char *hex(const unsigned char *bytes, size_t size)
{
	struct buf text = BUF_INIT(3 * EVP_MAX_MD_SIZE + 1);

	for (size_t i = 0; i < size; i++)
		(void)buf_printf(&text, "%s%02X", i > 0 ? ":" : "", bytes[i]);
	return buf_steal(&text);
}

static char *fingerprint(X509 *certificate, const char *digest_name, bool is_of_key)
{
	EVP_MD *digest = EVP_MD_fetch(NULL, digest_name, NULL);
	unsigned char bytes[EVP_MAX_MD_SIZE], *der = NULL;
	unsigned size = 0;
	int der_size = 0;
	bool is_good = digest != NULL;

	if (is_good && is_of_key) {
		der_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
		is_good = der_size > 0 &&
			  EVP_Digest(der, (size_t)der_size, bytes, &size, digest, NULL) == 1;
		OPENSSL_free(der);
	} else if (is_good) {
		is_good = X509_digest(certificate, digest, bytes, &size) == 1;
	}
	EVP_MD_free(digest);
	return is_good ? hex(bytes, size) : mem_dup_str("");
}

static enum tls_trouble trouble_of(long problem)
{
	switch (problem) {
	case X509_V_OK: return TLS_TROUBLE_NONE;
	case X509_V_ERR_HOSTNAME_MISMATCH: return TLS_TROUBLE_NAME;
	case X509_V_ERR_CERT_HAS_EXPIRED: return TLS_TROUBLE_EXPIRED;
	default: return TLS_TROUBLE_OTHER;
	}
}

void tls_describe_peer(struct tls *tls)
{
	struct tls_info *info = &tls->info;
	X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
	long problem = SSL_get_verify_result(tls->ssl);
	const char *digest = tls->context->settings.fingerprint_digest;

	info->subject = info->issuer = info->fingerprint = info->key_fingerprint = "";
	info->has_peer = certificate != NULL;
	info->problem = "";
	if (certificate == NULL)
		return;
	info->trouble = trouble_of(problem);
	info->is_trusted = info->trouble == TLS_TROUBLE_NONE;
	info->is_dane = info->is_trusted && SSL_get0_dane_authority(tls->ssl, NULL, NULL) >= 0;
	if (!info->is_trusted)
		info->problem = X509_verify_cert_error_string(problem);
	info->subject = tls->texts[0] = name_part(X509_get_subject_name(certificate),
						  NID_commonName);
	tls->texts[1] = name_part(X509_get_issuer_name(certificate), NID_commonName);
	if (*tls->texts[1] == '\0') {
		free(tls->texts[1]);
		tls->texts[1] = name_part(X509_get_issuer_name(certificate), NID_organizationName);
	}
	info->issuer = tls->texts[1];
	info->fingerprint = tls->texts[2] = fingerprint(certificate, digest, false);
	info->key_fingerprint = tls->texts[3] = fingerprint(certificate, digest, true);
	ERR_clear_error();
}

/* ---- names ---- */

static bool is_host_name(struct span name)
{
	if (name.n == 0 || name.n > 255 || name.p[0] == '.')
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alnum(name.p[i]) && name.p[i] != '-' && name.p[i] != '_' &&
		    name.p[i] != '.')
			return false;
	return true;
}

bool tls_name_matches(struct span name, struct span pattern, bool is_wide)
{
	bool is_below = pattern.n > 0 && pattern.p[0] == '.';
	struct span host = is_below ? span_from(pattern, 1) : pattern, rest = name;
	size_t dot;

	if (!is_host_name(host))
		return false;
	if (span_starts(name, SPAN("*."))) {
		rest = span_from(name, 2);
		/* "*.com" stands for too much. */
		if (!is_host_name(rest) || !span_has(rest, '.'))
			return false;
		if (is_below)
			return span_eq_nocase(rest, host) ||
			       (span_ends_nocase(rest, pattern) && rest.n > pattern.n);
		if (host.n <= rest.n + 1 || !span_ends_nocase(host, span_from(name, 1)))
			return false;
		return is_wide || !span_has(span_first(host, host.n - rest.n - 1), '.');
	}
	if (!is_host_name(name))
		return false;
	if (!is_below)
		return span_eq_nocase(name, host);
	return name.n > pattern.n && span_ends_nocase(name, pattern) && span_chr(name, '.', &dot) &&
	       dot > 0;
}

static bool matches_any(struct span name, const struct span *patterns, size_t count, bool is_wide)
{
	for (size_t i = 0; i < count; i++)
		if (tls_name_matches(name, patterns[i], is_wide))
			return true;
	return false;
}

/* *ret_has_names: there are DNS names; the first that matches is appended to `out`, unless that is NULL. */
static bool matches_dns(const struct tls *tls, const struct span *patterns, size_t count,
			bool is_wide, bool *ret_has_names, struct buf *out)
{
	X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
	GENERAL_NAMES *names;
	struct span found = { NULL, 0 };

	*ret_has_names = false;
	if (certificate == NULL)
		return false;
	names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		struct span text;

		if (name->type != GEN_DNS)
			continue;
		*ret_has_names = true;
		text = (struct span){ (const char *)ASN1_STRING_get0_data(name->d.dNSName),
				      (size_t)ASN1_STRING_length(name->d.dNSName) };
		if (found.n == 0 && matches_any(text, patterns, count, is_wide))
			found = text;
	}
	if (out != NULL)
		(void)buf_add(out, found);
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return found.n > 0;
}

static bool find_name(const struct tls *tls, const struct span *patterns, size_t count,
		      bool is_wide, struct buf *out)
{
	struct span subject = span_of(tls->info.subject);
	bool has_names, is_match = matches_dns(tls, patterns, count, is_wide, &has_names, out);

	if (has_names || !tls->info.has_peer || !matches_any(subject, patterns, count, is_wide))
		return is_match;
	if (out != NULL)
		(void)buf_add(out, subject);
	return true;
}

bool tls_peer_matches(const struct tls *tls, const struct span *patterns, size_t count,
		      bool is_wide)
{
	return find_name(tls, patterns, count, is_wide, NULL);
}

bool tls_peer_name(const struct tls *tls, const struct span *patterns, size_t count, bool is_wide,
		   struct buf *out)
{
	return find_name(tls, patterns, count, is_wide, out);
}

bool tls_peer_is(const struct tls *tls, struct span host)
{
	bool has_names;

	return host.n > 0 && host.p[0] != '.' &&
	       matches_dns(tls, &host, 1, false, &has_names, NULL);
}

void tls_dane_match(const struct tls *tls, struct buf *out)
{
	enum { HEX_BYTES = 64 };
	uint8_t usage, selector, matching;
	const unsigned char *data;
	size_t size;
	EVP_PKEY *key = NULL;
	int depth = SSL_get0_dane_authority(tls->ssl, NULL, &key);

	if (depth < 0 ||
	    SSL_get0_dane_tlsa(tls->ssl, &usage, &selector, &matching, &data, &size) < 0)
		return;
	(void)buf_printf(out, "%s at depth %d: %u %u %u ",
			 key != NULL ? "TA public key verified certificate"
			 : depth > 0 ? "TA certificate"
				     : "EE certificate",
			 depth, usage, selector, matching);
	for (size_t i = 0; i < size && i < HEX_BYTES; i++)
		(void)buf_printf(out, "%02X", data[i]);
	if (size > HEX_BYTES)
		(void)buf_text(out, "...");
}

/* "/CN=x", on one line, without controls. */
static void put_name(struct buf *out, X509_NAME *name)
{
	char line[1024];

	if (X509_NAME_oneline(name, line, sizeof(line)) == NULL)
		return;
	for (const char *c = line; *c != '\0'; c++)
		(void)buf_char(out, (unsigned char)*c >= ' ' && *c != 0x7f ? *c : '?');
}

static void put_pem(struct buf *out, X509 *certificate)
{
	BIO *memory = BIO_new(BIO_s_mem());
	char *text = NULL;
	long size = 0;

	if (memory != NULL && PEM_write_bio_X509(memory, certificate) == 1)
		size = BIO_get_mem_data(memory, &text);
	if (size > 0)
		(void)buf_append(out, text, (size_t)size);
	(void)BIO_free(memory);
}

void tls_peer_chain(const struct tls *tls, struct buf *out)
{
	const char *digest = tls->context->settings.fingerprint_digest;
	const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(tls->ssl);

	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *certificate = sk_X509_value(chain, i);
		char *whole = fingerprint(certificate, digest, false);
		char *key = fingerprint(certificate, digest, true);

		(void)buf_printf(out, "%2d subject: ", i);
		put_name(out, X509_get_subject_name(certificate));
		(void)buf_text(out, "\n    issuer: ");
		put_name(out, X509_get_issuer_name(certificate));
		(void)buf_printf(out, "\n   cert digest=%s\n   pkey digest=%s\n", whole, key);
		put_pem(out, certificate);
		free(whole);
		free(key);
	}
	ERR_clear_error();
}

/* ---- in words ---- */

static const char *curve_name(EVP_PKEY *key, char *room, size_t size)
{
	return EVP_PKEY_get_group_name(key, room, size, NULL) == 1 ? room : "?";
}

static void put_exchange(const struct tls *tls, const char *separator, struct buf *out)
{
	EVP_PKEY *key = NULL;
	char group[64];

	if (SSL_get_peer_tmp_key(tls->ssl, &key) != 1)
		return;
	if (EVP_PKEY_is_a(key, "EC"))
		(void)buf_printf(out, "%s key-exchange ECDHE (%s)", separator,
				 curve_name(key, group, sizeof(group)));
	else if (EVP_PKEY_is_a(key, "DH"))
		(void)buf_printf(out, "%s key-exchange DHE (%d bits)", separator,
				 EVP_PKEY_get_bits(key));
	else
		(void)buf_printf(out, "%s key-exchange %s", separator, EVP_PKEY_get0_type_name(key));
	EVP_PKEY_free(key);
}

static void put_signature(const char *who, EVP_PKEY *key, int type, int digest, struct buf *out)
{
	char group[64];

	(void)buf_printf(out, " %s-signature ", who);
	switch (type) {
	case EVP_PKEY_RSA: (void)buf_printf(out, "RSA (%d bits)", EVP_PKEY_get_bits(key)); break;
	case EVP_PKEY_RSA_PSS:
		(void)buf_printf(out, "RSA-PSS (%d bits)", EVP_PKEY_get_bits(key));
		break;
	case EVP_PKEY_EC:
		(void)buf_printf(out, "ECDSA (%s)", curve_name(key, group, sizeof(group)));
		break;
	default: (void)buf_text(out, OBJ_nid2sn(type));
	}
	if (digest != NID_undef)
		(void)buf_printf(out, " %s-digest %s", who, OBJ_nid2sn(digest));
}

void tls_summary(const struct tls *tls, const char *separator, struct buf *out)
{
	const struct tls_info *info = &tls->info;
	bool is_server = tls->context->settings.role == TLS_SERVER;
	X509 *own = SSL_get_certificate(tls->ssl), *peer = SSL_get0_peer_certificate(tls->ssl);
	int type = NID_undef, digest = NID_undef;

	(void)buf_printf(out, "%s with cipher %s (%d/%d bits)", info->protocol, info->cipher,
			 info->bits, info->algorithm_bits);
	/* Before TLS 1.3 the cipher says it all. */
	if (SSL_version(tls->ssl) < TLS1_3_VERSION)
		return;
	put_exchange(tls, separator, out);
	if (info->was_resumed)
		return;
	if (is_server && own != NULL && SSL_get_signature_type_nid(tls->ssl, &type) == 1) {
		(void)SSL_get_signature_nid(tls->ssl, &digest);
		put_signature("server", X509_get0_pubkey(own), type, digest, out);
	}
	if (peer != NULL && SSL_get_peer_signature_type_nid(tls->ssl, &type) == 1) {
		(void)SSL_get_peer_signature_nid(tls->ssl, &digest);
		if (is_server)
			(void)buf_text(out, separator);
		put_signature(is_server ? "client" : "server", X509_get0_pubkey(peer), type, digest,
			      out);
	}
}
