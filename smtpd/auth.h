/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_AUTH_H
#define SMTPD_AUTH_H

/*
 * Logging in: RFC 4954. cmd_auth.c has the command and its dialogue, auth.c what is offered to whom,
 * and a file each the back ends that know whether a password is right: auth_dovecot.c,
 * auth_passwd.c and auth_cyrus.c. A back end never sees a response that is not well-formed base64.
 */

#include "base/buf.h"
#include "sasl/mechanism.h"

struct session;

/* What a back end says to a response of the client. */
enum auth_step {
	AUTH_ASK,   /* `text` is a challenge, in base64 */
	AUTH_YES,   /* `user` has logged in */
	AUTH_NO,    /* `text`: why, or empty; `user`: who tried, as far as known */
	AUTH_LATER, /* it could not be found out; the log was told */
};

/* One attempt. Whatever was in `text` before a call is gone after it. */
struct auth_attempt {
	struct session *session;
	const struct sasl_mechanism *mechanism;
	struct buf text, user;
};

struct auth_backend {
	const char *type; /* smtpd_sasl_type */
	void (*prepare)(void); /* before the jail; may be NULL */
	/* All that it can; false, and the log was told, when it cannot be reached. */
	bool (*mechanisms)(struct sasl_mechanisms *ret);
	/* The first step; `response` is NULL when the client sent none with the command. */
	enum auth_step (*begin)(struct auth_attempt *attempt, const struct span *response);
	enum auth_step (*go_on)(struct auth_attempt *attempt, struct span response);
	/* The client has gone or given up in the middle. */
	void (*abandon)(void);
};

extern const struct auth_backend auth_dovecot, auth_passwd, auth_cyrus;

/* The one of smtpd_sasl_type. */
extern const struct auth_backend *auth_backend;

/* Reads the parameters; before the jail. What makes no sense is fatal(). */
void auth_prepare(void);

/* Whether this client may log in at all, as far as the configuration says. */
bool auth_is_enabled(struct session *s);

/* The mechanisms that this client may use now. False: none, or the back end is away. */
bool auth_offer(struct session *s, struct sasl_mechanisms *ret);

/* Who has logged in, or empty. */
struct span auth_user(const struct session *s);

/* ", sasl_method=PLAIN, sasl_username=alice" behind `separator`, or nothing. Appends. */
void auth_describe(struct buf *out, const struct session *s, const char *separator);

#endif
