/* SPDX-License-Identifier: MIT */
#ifndef SERVICES_POLICYFETCH_HTTPS_H
#define SERVICES_POLICYFETCH_HTTPS_H

/*
 * One request by HTTPS, with libcurl underneath: a GET, or a POST of a body. Straight and blocking;
 * for workers of policyfetch, which alone links libcurl. What holds for every request:
 *
 *   - the scheme is https and nothing else; no redirect is followed, no proxy is asked, no cookie,
 *     no .netrc, no environment counts;
 *   - the server's name is looked up by the dns service (net/dns.h), libcurl gets addresses; an
 *     address in place of a name is refused;
 *   - TLS 1.2 or newer; the certificate must come from an authority that https_prepare() has read,
 *     be in date, and have the server's name; before that nothing of the request is sent;
 *   - time, and the size of the answer, are limited.
 *
 *     struct https_request request = { .url = ..., .deadline = ..., .limit_bytes = ... };
 *     struct https_answer answer;
 *
 *     https_do(&request, &answer);
 *     if (answer.status == HTTPS_ANSWERED && answer.code == 200)
 *             ... buf_span(&answer.body) ...
 *     https_answer_done(&answer);
 */

#include "base/buf.h"
#include "base/clock.h"

/*
 * In prepare(), as root: starts libcurl and reads the authorities, those of smtp_tls_CAfile and
 * smtp_tls_CApath, or the system's where neither is set. What cannot be read is in the log; without
 * any authority every request fails with HTTPS_CERTIFICATE.
 */
void https_prepare(void);

enum { HTTPS_HEADERS_MAX = 8, HTTPS_URL_MAX = 2048 };

struct https_request {
	struct span url; /* "https://host[:port]/path?query"; no user, no fragment */
	/* A POST has a type for its body ("application/x-www-form-urlencoded"); NULL: a GET. */
	const char *content_type;
	struct span body;
	/* More lines for the header, "Name: value", without line end; NULL behind the last. */
	const char *headers[HTTPS_HEADERS_MAX + 1];
	size_t limit_bytes;          /* of the answer's body */
	struct clock_mono deadline;  /* for lookups, connection, and answer together */
};

enum https_status {
	HTTPS_ANSWERED,    /* by the server whose name it is; `code` says how */
	HTTPS_BAD_URL,     /* none that may be asked */
	HTTPS_NO_HOST,     /* the name has no address, or the DNS did not say */
	HTTPS_NO_SERVER,   /* no connection, or it broke, or what came was no HTTP */
	HTTPS_CERTIFICATE, /* the server could not show that it is who it should be */
	HTTPS_TOO_LARGE,
	HTTPS_TIMEOUT,
};

struct https_answer {
	enum https_status status;
	int code;               /* 200, 404, ...; 0: there was none */
	char content_type[128]; /* as the server has it: "text/plain; charset=utf-8", or "" */
	struct buf body;        /* of any `code`; empty unless HTTPS_ANSWERED */
	char reason[256];       /* unless HTTPS_ANSWERED: why not, in words; clean for the log */
};

/*
 * Does it. *ret needs no initialisation and is to be ended by https_answer_done(), which wipes the body:
 * it may be a secret. Never logs.
 */
void https_do(const struct https_request *request, struct https_answer *ret);
void https_answer_done(struct https_answer *answer);

/* Whether the type in `content_type`, without its parameters, is `wanted` ("text/plain"). */
bool https_has_type(const struct https_answer *answer, const char *wanted);

#endif
