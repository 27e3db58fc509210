/* SPDX-License-Identifier: MIT */
#ifndef SASL_CLIENT_H
#define SASL_CLIENT_H

/*
 * The client's side of SASL (RFC 4422): PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195), SCRAM (RFC 5802,
 * RFC 7677), OAUTHBEARER (RFC 7628) and XOAUTH2. No I/O: challenges in, responses out.
 */

#include "sasl/mechanism.h"
#include "sasl/scram.h"

/* What we are and where we log in. All is borrowed for as long as the exchange lasts. */
struct sasl_login {
	struct span user, password; /* or a token; see is_token */
	const char *host;
	unsigned port;
	bool is_token; /* the password is an OAuth 2.0 access token and nothing else */
};

struct sasl_client {
	const struct sasl_client_mechanism *mechanism;
	const struct sasl_login *login;
	struct scram scram;
	unsigned step;     /* challenges answered */
	bool is_satisfied; /* nothing is missing for success */
};

/* Loads what the jail has no way to: call it before. */
void sasl_client_prepare(void);

/*
 * The best mechanism of `offer` that we have, that the options allow and that fits the login, or NULL. A
 * token is for OAUTHBEARER and XOAUTH2 only, and a password is taken for a token only if no other
 * mechanism is left.
 */
const struct sasl_client_mechanism *sasl_client_choose(const struct sasl_mechanisms *offer,
						       const struct sasl_options *options,
						       const struct sasl_login *login);
const char *sasl_client_name(const struct sasl_client_mechanism *mechanism);

/* True: `out` got a first response that goes with the command. False: the server begins. */
bool sasl_client_start(struct sasl_client *client, const struct sasl_client_mechanism *mechanism,
		       const struct sasl_login *login, struct buf *out);

/* Answers a challenge, decoded. False: it makes no sense, and the exchange must end. */
MUST_USE bool sasl_client_answer(struct sasl_client *client, struct span challenge,
				 struct buf *out);

/* Whether the server may say that all is well: with SCRAM it must have proved itself. */
bool sasl_client_is_satisfied(const struct sasl_client *client);

void sasl_client_done(struct sasl_client *client);

#endif
