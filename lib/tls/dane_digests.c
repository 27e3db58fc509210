/* SPDX-License-Identifier: MIT */
/*
 * tls_dane_digests: which digests TLSA records may have, best first. Runs in clients; the list is the
 * administrator's. RFC 6698 2.1.3 (matching types), RFC 7671 9 (digest agility); postconf(5).
 */

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/words.h"
#include "conf/conf.h"
#include "tls/impl.h"

/* Of the registry "TLSA Matching Types". */
static const struct {
	const char *name;
	uint8_t matching;
} registered[] = { { "sha256", 1 }, { "sha512", 2 } };

struct digest {
	const EVP_MD *algorithm;
	uint8_t matching;
};

/* Without a number it must be one that the registry knows, and with one none that it knows better. */
static bool take_number(struct span word, const EVP_MD *algorithm, struct span number,
			struct digest *ret)
{
	uint64_t value = 0;

	for (size_t i = 0; i < ARRAY_LEN(registered); i++) {
		if (EVP_MD_is_a(algorithm, registered[i].name)) {
			value = registered[i].matching;
			break;
		}
	}
	if (number.n > 0 || word.p[word.n - 1] == '=') {
		uint64_t given;

		if (!span_u64(number, 255, &given) || given == 0 || (value != 0 && given != value))
			return false;
		for (size_t i = 0; value == 0 && i < ARRAY_LEN(registered); i++)
			if (given == registered[i].matching)
				return false;
		value = given;
	}
	*ret = (struct digest){ algorithm, (uint8_t)value };
	return value != 0;
}

/* "sha256" or "sha256=1". */
static bool parse(struct span word, struct digest *ret)
{
	struct span name = word, number = SPAN("");
	const EVP_MD *algorithm;
	size_t at;
	char *text;

	if (span_chr(word, '=', &at)) {
		name = span_first(word, at);
		number = span_from(word, at + 1);
	}
	text = mem_dup(name);
	algorithm = EVP_get_digestbyname(text);
	free(text);
	ERR_clear_error();
	return algorithm != NULL && take_number(word, algorithm, number, ret);
}

static struct {
	bool is_read;
	struct digest digests[TLS_DANE_DIGESTS_MAX];
	size_t count;
	struct span bad; /* a word that makes no sense, or nothing */
} list;

/* All of it, in its order, once; words that make no sense are left out. */
static void read_list(void)
{
	struct span rest = span_of(conf->tls_dane_digests), word;

	if (list.is_read)
		return;
	list.is_read = true;
	while ((word = span_word(&rest, WORDS_BLANK_OR_COMMA)).n > 0) {
		struct digest *next = &list.digests[list.count];
		bool is_good = list.count < ARRAY_LEN(list.digests) && parse(word, next);

		for (size_t i = 0; is_good && i < list.count; i++)
			is_good = list.digests[i].matching != next->matching;
		if (is_good)
			list.count++;
		else
			list.bad = word;
	}
}

bool tls_dane_digests_check(struct buf *ret_error)
{
	read_list();
	if (list.bad.n > 0)
		(void)buf_printf(ret_error, "tls_dane_digests: cannot use \"%.*s\"",
				 SPAN_ARG(list.bad));
	return list.bad.n == 0;
}

size_t tls_dane_digest_bytes(uint8_t matching)
{
	read_list();
	for (size_t i = 0; i < list.count; i++)
		if (list.digests[i].matching == matching)
			return (size_t)EVP_MD_get_size(list.digests[i].algorithm);
	return 0;
}

void tls_dane_use_digests(SSL_CTX *context)
{
	read_list();
	/* OpenSSL's own choice first goes. */
	for (size_t i = 0; i < ARRAY_LEN(registered); i++)
		(void)SSL_CTX_dane_mtype_set(context, NULL, registered[i].matching, 0);
	for (size_t i = 0; i < list.count; i++)
		(void)SSL_CTX_dane_mtype_set(context, list.digests[i].algorithm,
					     list.digests[i].matching, (uint8_t)(list.count - i));
	ERR_clear_error();
}
