/* SPDX-License-Identifier: MIT */
#ifndef SASL_SCRAM_H
#define SASL_SCRAM_H

/*
 * The client's side of SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
 * Names and passwords are used as they are, without SASLprep: all is the same in ASCII.
 */

#include "base/buf.h"

/* A server may not make us compute for ever, nor ask for a proof that is quickly searched. */
enum { SCRAM_ITERATIONS_MIN = 4096, SCRAM_ITERATIONS_MAX = 150000, SCRAM_KEY_MAX = 32 };

enum scram_hash { SCRAM_SHA1, SCRAM_SHA256 };

struct scram {
	enum scram_hash hash;
	struct buf first_bare; /* what the client said first, without "n,," */
	char nonce[32];
	unsigned char server_signature[SCRAM_KEY_MAX]; /* that the server must show */
};

/* Begins: appends the first message. `nonce` is new random text, printable and without comma. */
void scram_first(struct scram *scram, enum scram_hash hash, struct span user, const char *nonce,
		 struct buf *out);

/* Answers the server's first message. False: it is malformed, or asks for what we do not do. */
MUST_USE bool scram_final(struct scram *scram, struct span challenge, struct span password,
			  struct buf *out);

/* Whether the server's final message proves that it knows the password as well. */
MUST_USE bool scram_verify(const struct scram *scram, struct span message);

void scram_done(struct scram *scram);

#endif
