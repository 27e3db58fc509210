/* SPDX-License-Identifier: MIT */
/*
 * tls_server_sni_maps: keys and certificates by the name that a client asks for. The entries are read as
 * root, at the start, since they hold keys, or name files that do; a change of the table makes a new generation.
 * postconf(5) tls_server_sni_maps, postmap(1) -F.
 */

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/htab.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/words.h"
#include "keysign.h"
#include "proc/service.h"
#include "table/table.h"

enum { PEM_BYTES_MAX = 1024 * 1024, AT_ONCE = 50 };

struct name_entry {
	struct name_entry *next;
	char *title;                /* for the log */
	char *pem;                  /* base64 of the files, from an indexed table, or NULL ... */
	struct pair_source *source; /* ... or the files */
	struct tls_chains *chains;  /* of `pem`, once it was asked for */
	bool has_failed;
};

struct name_table {
	struct htab entries; /* by name */
	struct name_entry *all;
};

static void add_entry(struct name_table *names, struct span name, struct span value)
{
	struct buf pem = BUF_INIT(PEM_BYTES_MAX);
	struct name_entry *entry;

	if (htab_get(&names->entries, name) != NULL)
		return;
	entry = NEW(struct name_entry);
	/* A name of files is never the base64 of something: it has a dot, or begins with "/". */
	if (base64_decode(&pem, value) && value.n > 0)
		entry->pem = mem_dup(value);
	else
		entry->source = source_new(value, SPAN(""), true);
	entry->title = mem_printf("tls_server_sni_maps: %s", log_clean(name));
	entry->next = names->all;
	names->all = entry;
	(void)htab_put(&names->entries, name, entry);
	if (pem.data != NULL)
		explicit_bzero(pem.data, pem.capacity);
	buf_done(&pem);
}

static void read_table(struct name_table *names, struct span type_and_name)
{
	static const char *const suffixes[] = { "", ".db", ".lmdb", ".cdb" };
	struct buf error = BUF_INIT(1000);
	char *name = mem_dup(type_and_name);
	const char *path = strchr(name, ':');
	struct table *table = table_open(name, TABLE_FOLD, &error);
	enum table_status status = TABLE_ERROR;
	struct span key, value;

	for (size_t i = 0; path != NULL && path[1] == '/' && i < ARRAY_LEN(suffixes); i++) {
		char *file = mem_printf("%s%s", path + 1, suffixes[i]);

		service_watch_file(file);
		free(file);
	}
	if (table != NULL) {
		for (status = table_next(table, true, &key, &value); status == TABLE_FOUND;
		     status = table_next(table, false, &key, &value))
			add_entry(names, key, value);
		if (status == TABLE_ERROR)
			(void)buf_text(&error, table_error(table));
	}
	if (status == TABLE_ERROR)
		log_warn("tls_server_sni_maps: cannot read the entries of %s: %s", name,
			 log_clean(buf_span(&error)));
	table_close(table);
	free(name);
	buf_done(&error);
}

struct name_table *names_read(struct span list)
{
	struct name_table *names;
	struct span word;

	if (list.n == 0)
		return NULL;
	names = NEW(struct name_table);
	while ((word = words_next(&list, WORDS_BLANK_OR_COMMA)).n > 0)
		read_table(names, word);
	return names;
}

static void load_pem(struct name_entry *entry)
{
	struct buf pem = BUF_INIT(PEM_BYTES_MAX), error = BUF_INIT(1000);

	if (base64_decode(&pem, span_of(entry->pem)))
		entry->chains = tls_chains_parse(buf_span(&pem), true, &error);
	if (entry->chains != NULL &&
	    tls_chains_check(entry->chains, clock_wall_now().us / 1000000, &error) ==
		    TLS_CHECK_BAD) {
		tls_chains_free(entry->chains);
		entry->chains = NULL;
	}
	if (error.length > 0)
		log_warn("%s: %s", entry->title, log_clean(buf_span(&error)));
	entry->has_failed = entry->chains == NULL;
	if (pem.data != NULL)
		explicit_bzero(pem.data, pem.capacity);
	buf_done(&pem);
	buf_done(&error);
}

static struct tls_chains *load(struct name_entry *entry, bool *ret_failed)
{
	if (entry->source != NULL) {
		(void)source_load(entry->source);
		*ret_failed = entry->source->chains == NULL;
		return entry->source->chains;
	}
	if (entry->chains == NULL && !entry->has_failed && entry->pem != NULL)
		load_pem(entry);
	*ret_failed = entry->chains == NULL;
	return entry->chains;
}

/* The name itself, then ".parent" for each parent domain. */
struct tls_chains *names_find(struct name_table *names, struct span server_name, bool *ret_failed)
{
	struct span key = server_name;
	size_t dot;

	*ret_failed = false;
	while (names != NULL && key.n > 0) {
		struct name_entry *entry = htab_get(&names->entries, key);

		if (entry != NULL)
			return load(entry, ret_failed);
		if (key.p[0] == '.')
			key = span_from(key, 1);
		if (!span_chr(key, '.', &dot))
			break;
		key = span_from(key, dot);
	}
	return NULL;
}

struct tls_chains *names_find_key(struct name_table *names, struct span id)
{
	for (struct name_entry *entry = names != NULL ? names->all : NULL; entry != NULL;
	     entry = entry->next) {
		struct pair_source *source = entry->source;

		if (entry->chains != NULL && tls_chains_has(entry->chains, id))
			return entry->chains;
		if (source != NULL && source->chains != NULL && tls_chains_has(source->chains, id))
			return source->chains;
		if (source != NULL && source->previous != NULL &&
		    tls_chains_has(source->previous, id))
			return source->previous;
	}
	return NULL;
}

/* ---- ends ---- */

/* Nobody may have asked for it yet; then it is forgotten again, since there may be thousands. */
static void warn_of_end(struct name_entry *entry)
{
	bool has_failed, was_loaded = entry->source != NULL ? entry->source->chains != NULL
							    : entry->chains != NULL;
	const struct tls_chains *chains = load(entry, &has_failed);

	if (chains != NULL)
		pair_warn_of_end(entry->title, chains);
	if (was_loaded || chains == NULL)
		return;
	if (entry->source != NULL) {
		source_forget(entry->source);
	} else {
		tls_chains_free(entry->chains);
		entry->chains = NULL;
	}
}

struct name_entry *names_first(const struct name_table *names)
{
	return names != NULL ? names->all : NULL;
}

struct name_entry *names_warn_of_end(struct name_entry *entry)
{
	for (size_t i = 0; entry != NULL && i < AT_ONCE; i++) {
		warn_of_end(entry);
		entry = entry->next;
	}
	return entry;
}
