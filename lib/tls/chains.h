/* SPDX-License-Identifier: MIT */
#ifndef TLS_CHAINS_H
#define TLS_CHAINS_H

/*
 * Certificates with their chains and keys. In keysign the keys are there; everybody else gets the
 * certificates from it (tls/keysign.h), with keys that sign by asking it.
 */

#include "base/buf.h"
#include "tls/remote_key.h"

struct tls_chains;

/*
 * Reads PEM. With `is_list` (smtpd_tls_chain_files) each key is followed by its certificate and
 * the rest of its chain; else there is one key, the first, and the certificates, in any order of
 * key and certificates. NULL with a reason; keys with a pass phrase are refused.
 */
struct tls_chains *tls_chains_parse(struct span pem, bool is_list, struct buf *ret_error);
struct tls_chains *tls_chains_new(void); /* without any */
void tls_chains_free(struct tls_chains *chains);

/* Takes the pairs of `more`, which is freed. */
void tls_chains_add(struct tls_chains *chains, struct tls_chains *more);

size_t tls_chains_count(const struct tls_chains *chains);

/* The worst that is wrong; a reason comes with all but the first. */
enum tls_check {
	TLS_CHECK_GOOD,
	TLS_CHECK_DOUBTFUL, /* a certificate was not issued by the next of its chain, or is out of date */
	TLS_CHECK_BAD,      /* a key does not fit its certificate */
};

MUST_USE enum tls_check tls_chains_check(const struct tls_chains *chains, int64_t now_s,
					 struct buf *ret_error);

/*
 * Whether `renewed` may stand for `old`: each of its certificates has the name `host`, when one of `old`
 * has it, or else a name of `old`'s. A certificate for others is a mistake. False with a reason.
 */
MUST_USE bool tls_chains_keep_name(const struct tls_chains *old, const struct tls_chains *renewed,
				   const char *host, struct buf *ret_error);

/* When the first of the certificates ends (seconds, UTC), and its subject appended to *ret_name. */
int64_t tls_chains_end(const struct tls_chains *chains, struct buf *ret_name);

/* The certificates without keys, as records tls_pair of ipc/messages.def; false: too much. */
MUST_USE bool tls_chains_encode(const struct tls_chains *chains, struct buf *out);

/* What tls_chains_encode() made, with keys that ask `signer`. NULL: malformed. */
struct tls_chains *tls_chains_decode(struct span records, const struct tls_signer *signer);

/* Whether the key of that identity is here. */
bool tls_chains_has(const struct tls_chains *chains, struct span id);

/* Signs with that key; false with a reason. `digest` and `padding` as for struct tls_signer. */
MUST_USE bool tls_chains_sign(const struct tls_chains *chains, struct span id,
			      enum tls_padding padding, const char *digest, struct span text,
			      struct buf *ret_signature, struct buf *ret_error);

#endif
