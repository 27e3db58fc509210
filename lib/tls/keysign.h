/* SPDX-License-Identifier: MIT */
#ifndef TLS_KEYSIGN_H
#define TLS_KEYSIGN_H

/*
 * The keysign service, from the side of those who ask it for certificates, signatures and
 * ticket keys: smtpd as a server, smtp as a client that shows a certificate.
 */

#include "ipc/channel.h"
#include "tls/chains.h"
#include "tls/tls.h"

/* The files of one service's certificates, by the parameters of its master.cf entry. */
struct tls_file_names {
	enum tls_role role;
	const char *chain_files; /* if not empty, the others are not looked at */
	const char *cert, *key, *eccert, *eckey, *dcert, *dkey;
	const char *sni_maps;    /* server */
};

/*
 * The names as one text without newline. keysign gives out certificates for a text that master has made of
 * the configuration in the same way, and for no other. "": no certificates are configured.
 */
void tls_file_names_text(const struct tls_file_names *names, struct buf *out);

/* And back, for keysign: false when it is no such text. Pieces are of `text`. */
struct tls_file_spans {
	enum tls_role role;
	struct span chain_files, cert, key, eccert, eckey, dcert, dkey, sni_maps;
};
MUST_USE bool tls_file_names_parse(struct span text, struct tls_file_spans *ret);

/* A connection to the service; opened when it is needed. Not to be shared over a fork: close it. */
struct keysign {
	struct ipc_channel channel;
	struct tls_signer signer; /* of the keys that come with certificates */
	struct buf error;         /* why the last signature failed; empty: it did not */
};

void keysign_init(struct keysign *keysign);
void keysign_close(struct keysign *keysign);

/* Frees buffers until the next question; the connection stays. */
void keysign_rest(struct keysign *keysign);

enum keysign_status {
	KEYSIGN_FOUND,  /* *ret_chains is set; the caller frees it */
	KEYSIGN_SAME,   /* still that version */
	KEYSIGN_NONE,   /* no certificate for that server name */
	KEYSIGN_FAILED, /* there is none that can be used, or no answer: the reason is given */
};

/* Values of a tls_answer's result; the last: no such files are configured. */
enum keysign_result { KEYSIGN_GIVES, KEYSIGN_HAS_SAME, KEYSIGN_HAS_NONE, KEYSIGN_CANNOT,
		      KEYSIGN_KNOWS_NOT };

/*
 * Asks for the certificates of `files`, a text of tls_file_names_text(): for `server_name`, or, with an empty one,
 * for all others. *version is what the caller has (0: nothing) and becomes what it gets. The ticket
 * keys (see tls_context_set_tickets(), borrowed until the next call) come with each answer for the
 * empty name. `keysign` must outlive the chains. After a reload it waits for the keysign that knows the
 * new names, two seconds at most.
 */
MUST_USE enum keysign_status keysign_fetch(struct keysign *keysign, struct span files,
					   struct span server_name, uint64_t *version,
					   struct tls_chains **ret_chains,
					   struct span *ret_tickets, struct buf *ret_error);

#endif
