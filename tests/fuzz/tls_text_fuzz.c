/* SPDX-License-Identifier: MIT */
/* lib/tls: lists of protocols and ciphers, names of files and hosts, texts to be signed. */

#include <stdlib.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "tls/keysign.h"
#include "tls/limits.h"
#include "tls/signed_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_lists(const char *text)
{
	struct tls_limits limits = { text, "medium", text, NULL };
	struct buf out = BUF_INIT(4096), error = BUF_INIT(1 << 24);
	unsigned versions = 0;

	if (tls_versions_parse(span_of(text), &versions, &error) &&
	    (versions == 0 || (versions & ~(unsigned)TLS_ALL) != 0))
		abort();
	(void)!tls_ciphers_make(&limits, &out, &error);
	limits.grade = text;
	buf_reset(&error);
	if (!tls_ciphers_make(&limits, &out, &error) && error.length == 0 && !buf_is_over(&out))
		abort();
	buf_done(&out);
	buf_done(&error);
}

/* Names of files that are written as one text are read from it again. */
static void try_files(const char *text)
{
	struct tls_file_names names = { .role = TLS_CLIENT, .cert = text, .key = "key", .sni_maps = text };
	struct buf out = BUF_INIT(1 << 20);
	struct span trimmed = span_trim(span_of(text));
	struct tls_file_spans files;

	tls_file_names_text(&names, &out);
	if (out.length > 0 && (!tls_file_names_parse(buf_span(&out), &files) || files.role != TLS_CLIENT ||
			       files.cert.n != trimmed.n || !span_is(files.key, "key") ||
			       !span_eq(files.cert, files.sni_maps)))
		abort();
	buf_done(&out);
}

/* What a server signs is never what a client signs. */
static void try_texts(struct span text)
{
	struct tls_file_spans files;

	if (signed_text_is_tls(text, TLS_SERVER) && text.n < 65)
		abort();
	(void)signed_text_is_tls(text, TLS_CLIENT);
	(void)!tls_file_names_parse(text, &files);
}

static void try_names(struct span text)
{
	struct span name, pattern;

	if (!span_cut(text, ' ', &name, &pattern))
		return;
	/* Who matches narrowly matches widely, and no name has a NUL or blank. */
	if (tls_name_matches(name, pattern, false) &&
	    (!tls_name_matches(name, pattern, true) || span_has(name, '\0') || span_has(name, ' ')))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf values = { .tls_medium_cipherlist = "HIGH:MEDIUM", .tls_high_cipherlist = "HIGH",
				     .tls_null_cipherlist = "eNULL" };
	struct span text = { (const char *)data, size };
	char *copy = mem_dup(text);

	conf = &values;
	try_lists(copy);
	try_texts(text);
	try_files(copy);
	try_names(text);
	free(copy);
	return 0;
}
