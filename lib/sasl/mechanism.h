/* SPDX-License-Identifier: MIT */
#ifndef SASL_MECHANISM_H
#define SASL_MECHANISM_H

/*
 * SASL mechanisms (RFC 4422) by name, what an eavesdropper or a server can do against each, and
 * the options by which an administrator rules some out: postconf(5) smtpd_sasl_security_options,
 * smtp_sasl_security_options.
 */

#include "base/span.h"

enum sasl_property {
	SASL_PLAINTEXT = 1 << 0,  /* the password goes over the wire */
	SASL_ACTIVE = 1 << 1,     /* somebody in the middle may use it for a session of his own */
	SASL_DICTIONARY = 1 << 2, /* who listened may try passwords at home */
	SASL_ANONYMOUS = 1 << 3,
	SASL_FORWARD_SECRECY = 1 << 4,
	SASL_MUTUAL_AUTH = 1 << 5, /* the server proves that it knows the password as well */
};

enum { SASL_NAME_MAX = 20, SASL_MECHANISMS_MAX = 32 }; /* RFC 4422 3.1 */

struct sasl_mechanism {
	char name[SASL_NAME_MAX + 1]; /* upper case */
	unsigned properties;
};

struct sasl_mechanisms {
	struct sasl_mechanism list[SASL_MECHANISMS_MAX];
	size_t count;
};

/*
 * Adds a mechanism. False when `name` is none (RFC 4422 3.1: upper case letters, digits, "-", "_"),
 * or the list is full. A lower case letter is taken as its upper case.
 */
MUST_USE bool sasl_mechanisms_add(struct sasl_mechanisms *list, struct span name,
				  unsigned properties);

/* By name, in any case; NULL when it is not there. */
const struct sasl_mechanism *sasl_mechanism_find(const struct sasl_mechanisms *list,
						 struct span name);

/* What security options ask for. */
struct sasl_options {
	unsigned forbidden, required; /* enum sasl_property */
};

/*
 * Parses a list of options: noplaintext noactive nodictionary noanonymous forward_secrecy mutual_auth.
 * False with the word in *ret_unknown for any other.
 */
MUST_USE bool sasl_options_parse(struct span text, struct sasl_options *ret,
				 struct span *ret_unknown);

bool sasl_is_allowed(const struct sasl_options *options, const struct sasl_mechanism *mechanism);

#endif
