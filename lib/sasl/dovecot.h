/* SPDX-License-Identifier: MIT */
#ifndef SASL_DOVECOT_H
#define SASL_DOVECOT_H

/*
 * The lines of Dovecot's authentication protocol 1.x, client side: lines of fields between tabs.
 * Pure parsing; smtpd/auth_dovecot.c has the connection. The server is trusted to say who a user
 * is, and for nothing else: what it sends may have any form.
 */

#include "base/buf.h"
#include "sasl/mechanism.h"

enum { DOVECOT_LINE_MAX = 16384 }; /* bytes; longer ones are refused by the reader */

/* The greeting, up to DONE. */
struct dovecot_greeting {
	struct sasl_mechanisms mechanisms; /* without those that are private to the server */
	bool has_version, is_done;
};

/* Takes one line. False: the server speaks another protocol. Unknown words are passed over. */
MUST_USE bool dovecot_greeting_line(struct dovecot_greeting *greeting, struct span line);

struct dovecot_request {
	uint32_t id;
	const char *mechanism, *service;
	const char *local_addr, *local_port, *remote_addr, *remote_port;
	bool is_secured;   /* TLS */
	bool has_response;
	struct span response; /* base64, checked; with has_response */
};

/* Appends the AUTH line. False when it would be too long. */
MUST_USE bool dovecot_auth_line(struct buf *out, const struct dovecot_request *request);

enum dovecot_kind {
	DOVECOT_OK,    /* `user` is who */
	DOVECOT_CONT,  /* `challenge` */
	DOVECOT_FAIL,
	DOVECOT_OTHER, /* nothing to do with a request */
	DOVECOT_BAD,   /* no line of this protocol */
};

struct dovecot_answer {
	uint32_t id;
	struct span challenge;    /* base64, well formed, may be empty */
	struct span user, reason; /* as sent; empty: not there */
	bool is_temporary;
};

/* Parses an answer; spans point into `line`. */
enum dovecot_kind dovecot_answer_parse(struct span line, struct dovecot_answer *ret);

#endif
