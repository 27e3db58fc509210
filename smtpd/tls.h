/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_TLS_H
#define SMTPD_TLS_H

/* TLS in a session of smtpd: session->tls is not NULL while it is on. postconf(5) smtpd_tls_*. */

#include "smtpd/session.h"
#include "tls/tls.h"

/* What smtpd_tls_security_level comes to, old parameters and wrapper mode included. */
enum tls_level { TLS_LEVEL_NONE, TLS_LEVEL_MAY, TLS_LEVEL_ENCRYPT };
enum tls_level tls_level(void);

/* Before the jail: files of authorities, tables. In the jail, in the template: certificates. */
void session_tls_prepare(void);
void session_tls_start(void);

/*
 * Whether this client is to be told of STARTTLS: it is not on yet, and there is a certificate, or the
 * client can do nothing without (then STARTTLS says that it does not work).
 */
bool session_offers_tls(struct session *s);

/* Whether the client may do nothing but STARTTLS now. */
bool session_needs_tls(const struct session *s);

/* Whether a password may be taken now: smtpd_tls_auth_only, smtpd_tls_security_level. */
bool session_tls_permits_auth(const struct session *s);

/*
 * The handshake; the session is as new afterwards. False: it is over, and that was logged.
 */
MUST_USE bool session_start_tls(struct session *s);

/* Wrapper mode: before the greeting, where it is set. */
MUST_USE bool session_start_wrapped(struct session *s);

/* The lines for Received: of smtpd_tls_received_header, or nothing. */
void session_tls_received(const struct session *s, struct buf *out);

void cmd_starttls(struct session *s, struct span arguments);

#endif
