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

enum { PEM_BYTES_MAX = 1024 * 1024 };

struct entry {
	struct entry *next;
	char *pem;                  /* base64 of the files, from an indexed table, or NULL ... */
	struct pair_source *source; /* ... or the files */
	struct tls_chains *chains;  /* of `pem`, once it was asked for */
	bool has_failed;
};

struct name_table {
	struct htab entries; /* by name */
	struct entry *all;
};

static void add_entry(struct name_table *names, struct span name, struct span value)
{
	struct buf pem = BUF_INIT(PEM_BYTES_MAX);
	struct entry *entry;

	if (htab_get(&names->entries, name) != NULL)
		return;
	entry = NEW(struct entry);
	/* A name of files is never the base64 of something: it has a dot, or begins with "/". */
	if (base64_decode(&pem, value) && value.n > 0)
		entry->pem = mem_dup(value);
	else
		entry->source = source_new(value, SPAN(""), true);
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

static void load_pem(struct entry *entry, struct span name)
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
		log_warn("tls_server_sni_maps: %s: %s", log_clean(name),
			 log_clean(buf_span(&error)));
	entry->has_failed = entry->chains == NULL;
	if (pem.data != NULL)
		explicit_bzero(pem.data, pem.capacity);
	buf_done(&pem);
	buf_done(&error);
}

static struct tls_chains *load(struct entry *entry, struct span name, bool *ret_failed)
{
	if (entry->source != NULL) {
		(void)source_load(entry->source);
		*ret_failed = entry->source->chains == NULL;
		return entry->source->chains;
	}
	if (entry->chains == NULL && !entry->has_failed && entry->pem != NULL)
		load_pem(entry, name);
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
		struct entry *entry = htab_get(&names->entries, key);

		if (entry != NULL)
			return load(entry, key, ret_failed);
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
	for (struct entry *entry = names != NULL ? names->all : NULL; entry != NULL;
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
