/* SPDX-License-Identifier: MIT */
/*
 * Certificates and keys from files, again when they change; see keysign.h. A pair that is renewed is
 * looked at before it is served: half of it, or the wrong one, changes nothing. postconf(5)
 * smtpd_tls_chain_files, smtpd_tls_cert_file.
 */

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/words.h"
#include "conf/conf.h"
#include "keysign.h"

enum { FILE_BYTES_MAX = 1024 * 1024, WARN_DAYS = 14, DAY_S = 86400 };

static bool add_files(struct pair_source *source, struct span list, const char *separators)
{
	struct span word;

	while ((word = span_trim(span_word(&list, separators))).n > 0) {
		size_t index = opener_add(word);

		for (size_t i = 0; i < source->file_count; i++)
			if (source->files[i] == index)
				index = SIZE_MAX;
		if (index == SIZE_MAX)
			continue;
		if (source->file_count == ARRAY_LEN(source->files))
			return false;
		source->files[source->file_count++] = index;
	}
	return true;
}

struct pair_source *source_new(struct span paths, struct span more, bool is_list)
{
	struct pair_source *source = NEW(struct pair_source);
	const char *separators = is_list ? ", \t" : "\t";

	source->is_list = is_list;
	buf_init(&source->problem, 2000);
	if (!add_files(source, paths, separators) || !add_files(source, more, separators))
		log_warn("too many files with keys and certificates: %.*s", SPAN_ARG(paths));
	if (source->file_count > 0)
		return source;
	free(source);
	return NULL;
}

static const char *title(const struct pair_source *source)
{
	return opener_path(source->files[source->file_count - 1]);
}

static uint64_t stamp_now(const struct pair_source *source)
{
	uint64_t stamp = 0;

	for (size_t i = 0; i < source->file_count; i++)
		stamp = stamp * 31 + opener_stamp(source->files[i]);
	return stamp;
}

static struct tls_chains *read_files(struct pair_source *source, struct buf *ret_error)
{
	struct buf pem = BUF_INIT(FILE_BYTES_MAX);
	struct tls_chains *chains = NULL;
	uint64_t stamp, all = 0;
	bool is_good = true;

	for (size_t i = 0; is_good && i < source->file_count; i++) {
		is_good = opener_read(source->files[i], &pem, &stamp, ret_error);
		(void)buf_char(&pem, '\n');
		all = all * 31 + stamp;
	}
	source->stamp = all;
	if (is_good)
		chains = tls_chains_parse(buf_span(&pem), source->is_list, ret_error);
	if (pem.data != NULL)
		explicit_bzero(pem.data, pem.capacity);
	buf_done(&pem);
	return chains;
}

/* Any of them may be the one that is wrong. */
static void complain_of_all(const struct pair_source *source, struct span error)
{
	struct buf files = BUF_INIT(LOG_LINE_MAX);

	for (size_t i = 0; i < source->file_count; i++)
		(void)buf_printf(&files, "%s%s", i > 0 ? ", " : "", opener_path(source->files[i]));
	log_warn("cannot load the key and certificate from file %s: %s", buf_str(&files),
		 log_clean(error));
	buf_done(&files);
}

static void complain(struct pair_source *source, struct buf *error)
{
	if (span_eq(buf_span(&source->problem), buf_span(error)))
		return;
	(void)buf_set(&source->problem, buf_span(error));
	if (source->chains != NULL)
		log_warn("%s: %s: keeping the certificate that was there before", title(source),
			 log_clean(buf_span(error)));
	else
		complain_of_all(source, buf_span(error));
}

static void serve(struct pair_source *source, struct tls_chains *chains)
{
	struct buf name = BUF_INIT(1000);

	tls_chains_free(source->previous);
	source->previous = source->chains;
	source->chains = chains;
	buf_reset(&source->problem);
	if (source->previous != NULL) {
		int64_t end_s = tls_chains_end(chains, &name);

		log_info("%s: renewed certificate is served from now on, good for %lld days",
			 title(source),
			 (long long)(end_s - clock_wall_now().us / 1000000) / DAY_S);
	}
	buf_done(&name);
}

bool source_load(struct pair_source *source)
{
	struct buf error = BUF_INIT(2000);
	bool is_first = source->chains == NULL;
	enum tls_check check = TLS_CHECK_BAD;
	struct tls_chains *chains;

	if (source->stamp != 0 && source->stamp == stamp_now(source))
		return false;
	chains = read_files(source, &error);
	if (chains != NULL)
		check = tls_chains_check(chains, clock_wall_now().us / 1000000, &error);
	if (check == TLS_CHECK_GOOD && !is_first &&
	    !tls_chains_keep_name(source->chains, chains, conf->myhostname, &error))
		check = TLS_CHECK_BAD;
	/* With nothing in its place, one that clients may refuse is better than none. */
	if (check == TLS_CHECK_GOOD || (check == TLS_CHECK_DOUBTFUL && is_first)) {
		if (check == TLS_CHECK_DOUBTFUL)
			log_warn("%s: %s", title(source), log_clean(buf_span(&error)));
		serve(source, chains);
		chains = NULL;
	} else {
		complain(source, &error);
		check = TLS_CHECK_BAD;
	}
	tls_chains_free(chains);
	buf_done(&error);
	return check != TLS_CHECK_BAD;
}

void source_forget(struct pair_source *source)
{
	tls_chains_free(source->chains);
	tls_chains_free(source->previous);
	source->chains = source->previous = NULL;
	source->stamp = 0;
}

void pair_warn_of_end(const char *of, const struct tls_chains *chains)
{
	struct buf name = BUF_INIT(1000);
	int64_t left_s = tls_chains_end(chains, &name) - clock_wall_now().us / 1000000;

	if (left_s < 0)
		log_warn("%s: the certificate of %s has expired", of, log_clean(buf_span(&name)));
	else if (left_s < WARN_DAYS * DAY_S)
		log_warn("%s: the certificate of %s expires in %lld days", of,
			 log_clean(buf_span(&name)), (long long)left_s / DAY_S);
	buf_done(&name);
}

void source_warn_of_end(const struct pair_source *source)
{
	if (source->chains != NULL)
		pair_warn_of_end(title(source), source->chains);
}
