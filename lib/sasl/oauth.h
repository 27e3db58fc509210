/* SPDX-License-Identifier: MIT */
#ifndef SASL_OAUTH_H
#define SASL_OAUTH_H

/*
 * OAuth 2.0 for logging in at relays, without any I/O: the administrator's file of accounts
 * (smtp_sasl_oauth_file), the request for an access token with a refresh token (RFC 6749 6), and the
 * answer of the token endpoint (RFC 6749 5).
 */

#include "base/buf.h"

enum { OAUTH_NAME_MAX = 64, OAUTH_TOKEN_MAX = 8192 };

/* What the file says of one account. Borrowed from its text; what is not set is empty. */
struct oauth_account {
	struct span name;
	struct span endpoint; /* https://... */
	struct span client_id, client_secret, refresh_token, scope;
	struct span token_file; /* instead of all these: a file with the access token */
};

struct oauth_reader {
	struct span rest;
	unsigned line; /* so many were read */
	unsigned at;   /* of a problem, or of the account's first line */
};

/*
 * The next account of the file:
 *
 *	account NAME
 *	    endpoint = https://provider.example/token
 *	    client_id = ...
 *	    ...
 *
 * Lines that are empty or begin with "#" say nothing; blanks around names and values do not count.
 * False: there is no more. A NULL *ret_problem: it is good; else what is wrong in line reader->at, and
 * ret_account->name is its name or empty.
 */
MUST_USE bool oauth_next(struct oauth_reader *reader, struct oauth_account *ret_account,
			 const char **ret_problem);

/* Letters, digits, ".", "-", "_" and "@", the first one a letter or digit. */
bool oauth_is_name(struct span name);

/* What may stand in a line of SASL: RFC 6750 2.1, and what servers have made of it. */
bool oauth_is_token(struct span token);

/* Appends the body of the request (application/x-www-form-urlencoded). False when there is no room. */
MUST_USE bool oauth_request(struct buf *out, const struct oauth_account *account,
			    struct span refresh_token);

/* The answer. Set up once, and to be ended: it holds secrets, which are wiped then. */
struct oauth_answer {
	struct buf access_token, refresh_token; /* the second one empty: the old one stays good */
	uint64_t expires_s;                     /* 0: not said */
	struct buf error;                       /* "invalid_grant: text"; not clean for the log */
};

void oauth_answer_init(struct oauth_answer *answer);
void oauth_answer_done(struct oauth_answer *answer);

/* Reads a body. False: it has no token that could be used; `error` then says why, as far as known. */
MUST_USE bool oauth_answer_parse(struct oauth_answer *answer, struct span body);

#endif
