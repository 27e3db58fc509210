/* SPDX-License-Identifier: MIT */
#ifndef KEYSIGN_KEYSIGN_H
#define KEYSIGN_KEYSIGN_H

/* For the files of services/keysign/ alone. */

#include "ipc/channel.h"
#include "tls/chains.h"
#include "tls/keysign.h"

/* ---- opener.c: a root process that opens the files which the configuration names ---- */

/* The number of a file in the opener's list; the same for the same name. Before opener_start(). */
size_t opener_add(struct span path);
const char *opener_path(size_t index);
size_t opener_count(void);

/* In prepare(): forks it. */
void opener_start(void);

/*
 * Reads a whole file into *out. False with a reason. `ret_stamp` changes when the file does.
 */
MUST_USE bool opener_read(size_t index, struct buf *out, uint64_t *ret_stamp,
			  struct buf *ret_error);
/* The stamp alone; 0: the file cannot be opened. */
uint64_t opener_stamp(size_t index);

/* ---- pairs.c: certificates and keys from files ---- */

/* One pair of files, or a list of chain files, and what was last read from them. */
struct pair_source {
	size_t files[16];
	size_t file_count;
	bool is_list;
	struct tls_chains *chains;   /* what is served; NULL: never was good */
	struct tls_chains *previous; /* for handshakes that have begun */
	struct buf problem;          /* the last one, so that it is logged once */
	uint64_t stamp;              /* of the files, when they were last read */
};

/* The source with that number of files, of those that `paths` names; NULL: none are named. */
struct pair_source *source_new(struct span paths, struct span more, bool is_list);

/*
 * Reads the files if they have changed, or for the first time. What is read must be in order to replace
 * what is there; says in the log what became of it. True when something new is served.
 */
bool source_load(struct pair_source *source);

/* Frees what was read, as if it never had been. */
void source_forget(struct pair_source *source);

/* "warning: OF: ... expires in 3 days", when it does within a fortnight. */
void pair_warn_of_end(const char *of, const struct tls_chains *chains);
void source_warn_of_end(const struct pair_source *source);

/* ---- sets.c: what each service of master.cf shows ---- */

/* In prepare(): all the sets, from master's list. */
void sets_prepare(void);
/* In the jail: reads everything, and again when a file changes. */
void sets_start(void);

void sets_answer(const struct msg_tls_request *request, enum tls_role role,
		 struct ipc_channel *channel, bool *ret_is_sent);

/* Signs with any key of that role; false with a reason. */
MUST_USE bool sets_sign(const struct msg_sign_request *request, enum tls_role role,
			struct buf *ret_signature, struct buf *ret_error);

/* ---- names.c: tls_server_sni_maps ---- */

struct name_table;

/* Reads all entries, in prepare(). NULL: the list is empty. */
struct name_table *names_read(struct span list);

/*
 * The certificates for a server name, or NULL: then *ret_failed says whether there is an entry that
 * cannot be used, which was logged.
 */
struct tls_chains *names_find(struct name_table *names, struct span server_name,
			      bool *ret_failed);
struct tls_chains *names_find_key(struct name_table *names, struct span id);

/*
 * Warnings about the ends of all certificates, some at a time, since to read thousands takes long: begins
 * with names_first(), and goes on with what the last call returned until that is NULL.
 */
struct name_entry;
struct name_entry *names_first(const struct name_table *names);
struct name_entry *names_warn_of_end(struct name_entry *entry);

/* ---- tickets.c ---- */

/* The keys of session tickets, newest first; borrowed until the next call. */
struct span tickets_now(void);

#endif
