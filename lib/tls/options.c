/* SPDX-License-Identifier: MIT */
/* OpenSSL's options by name; see options.h. The texts are the administrator's. */

#include "tls/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"

struct option_name {
	const char *name;
	uint64_t bits;
};

#define OPTION(name) { #name, SSL_OP_##name }

static const struct option_name features[] = {
	OPTION(ENABLE_MIDDLEBOX_COMPAT),
	OPTION(LEGACY_SERVER_CONNECT),
	OPTION(NO_COMPRESSION),
	OPTION(NO_RENEGOTIATION),
	OPTION(NO_SESSION_RESUMPTION_ON_RENEGOTIATION),
	OPTION(NO_TICKET),
	OPTION(PRIORITIZE_CHACHA),
};

/* Those without a bit are of an OpenSSL that is long gone. */
static const struct option_name workarounds[] = {
	OPTION(CRYPTOPRO_TLSEXT_BUG),
	{ "CVE-2005-2969", 0 },
	{ "CVE-2010-4180", 0 },
	OPTION(DONT_INSERT_EMPTY_FRAGMENTS),
	OPTION(LEGACY_SERVER_CONNECT),
	{ "MICROSOFT_BIG_SSLV3_BUFFER", 0 },
	{ "MICROSOFT_SESS_ID_BUG", 0 },
	{ "MSIE_SSLV2_RSA_PADDING", 0 },
	{ "NETSCAPE_CHALLENGE_BUG", 0 },
	{ "NETSCAPE_REUSE_CIPHER_CHANGE_BUG", 0 },
	{ "SSLEAY_080_CLIENT_DH_BUG", 0 },
	{ "SSLREF2_REUSE_CERT_TYPE_BUG", 0 },
	{ "TLS_BLOCK_PADDING_BUG", 0 },
	{ "TLS_D5_BUG", 0 },
	OPTION(TLS_ROLLBACK_BUG),
	OPTION(TLSEXT_PADDING),
};

/* What other parameters decide. */
static const uint64_t managed = SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_SSL_MASK;

static void complain(struct buf *ret_problems, const char *parameter, struct span word)
{
	(void)buf_printf(ret_problems, "%s%s: \"%.*s\" has no meaning",
			 ret_problems->length > 0 ? "\n" : "", parameter, SPAN_ARG(word));
}

static bool find_bits(const struct option_name *names, size_t count, struct span word,
		      uint64_t *bits)
{
	char *text, *end;
	bool is_number = span_starts_nocase(word, SPAN("0x"));

	for (size_t i = 0; i < count; i++) {
		if (span_is_nocase(word, names[i].name)) {
			*bits |= names[i].bits;
			return true;
		}
	}
	if (!is_number)
		return false;
	text = mem_dup(word);
	*bits |= strtoull(text, &end, 16);
	is_number = word.n > 2 && *end == '\0';
	free(text);
	return is_number;
}

/* The bits of all words; `problems` may be NULL. */
static uint64_t read_bits(const char *parameter, const char *list, const struct option_name *names,
			  size_t count, struct buf *problems)
{
	struct span rest = span_of(list), word;
	uint64_t bits = 0;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0) {
		uint64_t found = 0;

		if (find_bits(names, count, word, &found))
			bits |= found;
		else if (problems != NULL)
			complain(problems, parameter, word);
	}
	return bits;
}

static uint64_t read_options(struct buf *problems)
{
	uint64_t off = read_bits("tls_disable_workarounds", conf->tls_disable_workarounds,
				 workarounds, ARRAY_LEN(workarounds), problems);
	uint64_t on = read_bits("tls_ssl_options", conf->tls_ssl_options, features,
				ARRAY_LEN(features), problems);

	return (SSL_OP_ALL & ~off) | (on & ~(SSL_OP_ALL | managed));
}

uint64_t tls_options(void)
{
	return read_options(NULL);
}

const EVP_CIPHER *tls_ticket_cipher(void)
{
	const EVP_CIPHER *cipher = EVP_get_cipherbyname(conf->tls_session_ticket_cipher);
	int key_bytes = cipher != NULL ? EVP_CIPHER_get_key_length(cipher) : 0;
	bool is_fit = cipher != NULL && EVP_CIPHER_get_mode(cipher) == EVP_CIPH_CBC_MODE &&
		      EVP_CIPHER_get_iv_length(cipher) == 16 && key_bytes >= 16 && key_bytes <= 32;

	return is_fit ? cipher : NULL;
}

void tls_options_check(struct buf *ret_problems)
{
	(void)read_options(ret_problems);
	if (*conf->tls_session_ticket_cipher != '\0' && tls_ticket_cipher() == NULL)
		complain(ret_problems, "tls_session_ticket_cipher",
			 span_of(conf->tls_session_ticket_cipher));
}
