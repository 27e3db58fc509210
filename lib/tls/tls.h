/* SPDX-License-Identifier: MIT */
#ifndef TLS_TLS_H
#define TLS_TLS_H

/*
 * TLS under a stream (base/stream.h), for the server (smtpd) and the client (smtp, lmtp,
 * policyfetch, commands) alike. The order of calls:
 *
 *   before the jail   tls_library_open(), tls_files_open()      once a process: they read files
 *   in the jail       tls_context_new()                         settings, certificates
 *   each session      tls_new(), then tls_start(): the handshake; from then on the stream reads
 *                     and writes inside TLS, and closing the stream closes it
 *                     tls_info() for the log, Received: and restrictions
 *
 * Both halves: library, files, context, tls_new, tls_start, tls_info, tls_summary, fingerprints.
 * The server's: settings marked so, tickets, tls/keysign.h (its keys are in another process).
 * The client's: options marked so, tls_peer_matches(), saved sessions, DANE records.
 *
 * Nothing here logs: errors are texts in *ret_error, one line, fit for a log. Nothing is kept
 * between calls but what tls_library_open() has set up. OpenSSL's own types stay inside lib/tls.
 * The process must ignore SIGPIPE, as daemons do.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/stream.h"

/* ---- the library: once a process ---- */

/*
 * Starts OpenSSL with tls_config_file and tls_config_name, and adds the keys that keysign holds.
 * False with a reason: no TLS in this process.
 */
MUST_USE bool tls_library_open(struct buf *ret_error);

/*
 * A line in *ret_problems for each word of tls_ssl_options and tls_disable_workarounds that means
 * nothing, and for a tls_session_ticket_cipher that is unfit: TLS goes on without.
 */
void tls_options_check(struct buf *ret_problems);

/* ---- what is read from files: before the jail ---- */

struct tls_files;

/*
 * Trusted authorities from a file, and a directory where they have names as openssl-rehash(1) gives
 * them (either may be empty), with the system's beside them when `with_default`
 * (tls_append_default_CA) says so; and DH parameters, "auto" or empty: built in. Never NULL: what
 * cannot be read is left out, with a line for each in *ret_error. Freed by tls_files_close();
 * contexts keep what they need.
 */
struct tls_files *tls_files_open(const char *ca_file, const char *ca_path, bool with_default,
				 const char *dh_file, struct buf *ret_error);
void tls_files_close(struct tls_files *files);

/* For a server: clients are told that they may show certificates of the authorities of this file. */
void tls_files_name_authorities(struct tls_files *files, const char *ca_file);

/*
 * The authorities that vouch for names on the web and, with MTA-STS, for MX hosts: as above, but the
 * system's file, or without one its directory, where neither is given.
 */
struct tls_files *tls_files_open_web(const char *ca_file, const char *ca_path, bool with_default,
				     struct buf *ret_error);

/* Appends all authorities in PEM. False: there is none, or they do not fit. */
MUST_USE bool tls_files_pem(const struct tls_files *files, struct buf *out);

/*
 * The certificates of one more file are trusted without a chain above them, whether they are an
 * authority's root or not (smtp_tls_trust_anchor_file). Errors as above.
 */
void tls_files_add_anchors(struct tls_files *files, const char *path, struct buf *ret_error);

/* ---- contexts ---- */

enum tls_role { TLS_SERVER, TLS_CLIENT };

/* What may be negotiated; all texts are the administrator's, as postconf(5) has them. */
struct tls_limits {
	const char *protocols; /* ">=TLSv1.2, !TLSv1.3"; empty: all */
	const char *grade;     /* high, medium or null; export and low mean medium */
	const char *exclude, *exclude_more; /* ciphers; NULL or empty: none */
};

struct tls_settings {
	enum tls_role role;
	struct tls_limits limits;
	const struct tls_files *files; /* borrowed; NULL: nobody is trusted */
	int verify_depth;
	const char *fingerprint_digest; /* borrowed for good */

	/* server */
	bool asks_peer;                /* for a certificate of the client */
	const char *session_scope;     /* sessions of another scope are not resumed */
	int session_timeout_s;         /* 0: none is resumed */
	bool always_has_session_id;
	/* The certificates for a name that a client asks for, to be freed; NULL: the usual ones. */
	struct tls_chains *(*find_chains)(void *context, struct span name, bool *ret_failed);
	void *find_context;
};

struct tls_context;
struct tls_chains; /* certificates, and the means to sign with their keys: tls/keysign.h */

/*
 * NULL with a reason: a protocol, cipher or curve list or the digest makes no sense, or nothing is left; or a
 * chain cannot be used. `chains` may be NULL (a client that shows none) and stays the caller's.
 */
struct tls_context *tls_context_new(const struct tls_settings *settings,
				    const struct tls_chains *chains, struct buf *ret_error);
void tls_context_free(struct tls_context *context);

/*
 * Server: the keys that protect session tickets, TLS_TICKET_BYTES each, the newest first; it makes
 * tickets, the others read them. None, or if the configuration wants none: no tickets. Bytes are copied.
 */
enum { TLS_TICKET_BYTES = 16 + 32 + 32, TLS_TICKETS_MAX = 4 };
void tls_context_set_tickets(struct tls_context *context, struct span keys);

/*
 * Server, in a template whose workers will use the context: shakes hands with itself, so that they share
 * what OpenSSL makes at the first time. The keys must be reachable. Whether it works is for workers to see.
 */
void tls_context_warm(struct tls_context *context);

/* ---- sessions ---- */

/* One TLSA record (RFC 6698) for a client. */
struct tls_dane {
	uint8_t usage, selector, matching;
	struct span data;
};

/* False with a reason: tls_dane_digests names something that is no digest, and DANE cannot be had. */
enum { TLS_DANE_DIGESTS_MAX = 16 };
MUST_USE bool tls_dane_digests_check(struct buf *ret_error);

/* How long digests of a matching type other than 0 are; 0: tls_dane_digests does not have it. */
size_t tls_dane_digest_bytes(uint8_t matching);

struct tls_options {
	/* client */
	const char *server_name;         /* sent as SNI; NULL: none */
	const struct tls_limits *limits; /* instead of the context's, by policy; NULL: those */
	const struct tls_files *files;   /* authorities in place of the context's; NULL: those */
	const char *dane_name;           /* RFC 7672: the TLSA base domain, with `dane`; or NULL */
	const char *dane_domain;         /* another name that a DANE-TA certificate may have; or NULL */
	const struct tls_dane *dane;
	size_t dane_count;
	struct span saved_session;       /* as tls_save_session() gave it; empty: a full handshake */
};

struct tls;

/* One session, not yet started. NULL with a reason. `options` may be NULL in a server. */
struct tls *tls_new(struct tls_context *context, const struct tls_options *options,
		    struct buf *ret_error);

/*
 * Flushes the stream, forgets what came in before (it was said in the clear), shakes hands until the
 * stream's deadline, and puts itself under the stream, which owns it from here on, whatever the
 * outcome: stream_hangup() frees it. False with a reason; the stream is of no use then. What OpenSSL has
 * to say begins with TLS_LIBRARY_PROBLEM.
 */
#define TLS_LIBRARY_PROBLEM "TLS library problem: "
MUST_USE bool tls_start(struct tls *tls, struct stream *stream, struct buf *ret_error);

/* Why a certificate is not trusted, in kinds. */
enum tls_trouble { TLS_TROUBLE_NONE, TLS_TROUBLE_NAME, TLS_TROUBLE_EXPIRED, TLS_TROUBLE_OTHER };

/* Whom we talk to, and how well guarded: texts live as long as the session. */
struct tls_info {
	const char *protocol; /* "TLSv1.3" */
	const char *cipher;
	int bits, algorithm_bits;
	bool was_resumed;
	bool has_peer;        /* the peer has shown a certificate ... */
	bool is_trusted;      /* ... of an authority that is trusted, in date */
	bool is_dane;         /* client: a TLSA record matched, names included */
	const char *problem;  /* why it is not trusted; "" when it is */
	enum tls_trouble trouble; /* the same */
	const char *subject, *issuer; /* common names, UTF-8 without controls, or "" */
	const char *fingerprint, *key_fingerprint; /* "AA:BB:..." or "" */
	const char *server_name; /* server: whom the client asked for, or "" */
	bool has_name_chains;    /* ... and find_chains() had certificates for it */
};

const struct tls_info *tls_info(const struct tls *tls);

/*
 * "TLSv1.3 with cipher X (256/256 bits) key-exchange X25519 server-signature ECDSA (prime256v1) ...",
 * as logged; with `separator` in front of " key-exchange" and " client-signature", for header lines.
 */
void tls_summary(const struct tls *tls, const char *separator, struct buf *out);

/* ---- the client's judgement of names (RFC 6125, postconf(5) smtp_tls_policy_maps) ---- */

/*
 * Whether a name in a certificate is meant by `pattern`: itself, or for ".example.com" what is below.
 * A leading "*." in `name` stands for one label, or for more with `is_wide`
 * (tls_wildcard_matches_multiple_labels). No blanks, no NUL: what is not a host name never matches.
 */
bool tls_name_matches(struct span name, struct span pattern, bool is_wide);

/*
 * Whether one of the certificate's names (DNS names; without any, the common name) is meant by one of
 * the patterns. Says nothing about trust.
 */
bool tls_peer_matches(const struct tls *tls, const struct span *patterns, size_t count,
		      bool is_wide);

/* What matched, for those who want to see it: such a name of the certificate is appended; false: none. */
MUST_USE bool tls_peer_name(const struct tls *tls, const struct span *patterns, size_t count,
			    bool is_wide, struct buf *out);

/* "EE certificate at depth 0: 3 1 1 0123..." for a session with info->is_dane. Appends. */
void tls_dane_match(const struct tls *tls, struct buf *out);

/*
 * The chain that the server has sent: for each certificate its subject, issuer and fingerprints, and
 * the certificate in PEM. Appends lines; nothing for a session that was resumed.
 */
void tls_peer_chain(const struct tls *tls, struct buf *out);

/*
 * Whether one of the certificate's DNS names is `host`; "*." stands for one label, and a common name
 * for nothing (RFC 6125, as RFC 8461 4.2 wants it).
 */
bool tls_peer_is(const struct tls *tls, struct span host);

/*
 * The session for the next connection to the same place: appended to *out. False: none (yet). In TLS 1.3
 * it comes after the first reply, so ask at the end of the session. It holds secrets.
 */
MUST_USE bool tls_save_session(const struct tls *tls, struct buf *out);

#endif
