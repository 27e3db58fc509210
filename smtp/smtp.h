/* SPDX-License-Identifier: MIT */
#ifndef SMTP_SMTP_H
#define SMTP_SMTP_H

/*
 * The parts of the smtp and lmtp client, from the request to the wire:
 *
 *     smtp.c         the program: tables, jail, one request after the other
 *     deliver.c      which hosts, in which order, until every recipient has an outcome
 *     target.c       nexthop texts: domain, [host]:port, inet:host, unix:path
 *     relays.c       which relays of a list work: a memory that all workers share
 *     hosts.c        the addresses of a target: MX, SRV, A, AAAA; loops to ourselves
 *     srv.c          the order of SRV records
 *     dnssec.c       a warning when the resolver does not validate
 *     connect.c      sockets
 *     session.c      greeting, EHLO, XFORWARD, QUIT; sessions kept for the next request
 *     auth.c         logging in
 *     token.c        access tokens for that, from the service "oauth"
 *     tls_policy.c   what is wanted of TLS at a host; tls.h has what is said between these files
 *     requiretls.c   messages that ask for more TLS, or for less
 *     dane.c         TLSA records
 *     sts.c          MTA-STS
 *     report.c       how sessions went, for tlsrpt
 *     tls.c          handshakes, and what is logged of them
 *     tls_status.c   what a recipient's line in the log says of TLS
 *     pix.c          workarounds for a firewall
 *     chat.c         commands out, replies in
 *     transaction.c  MAIL to final dot, pipelined
 *     content.c      head and body on the wire
 *     convert.c      content that cannot go as it is: 7bit, generic(5), header checks
 *     generic.c      generic(5) for addresses
 *     trouble.c      what failed, in words; who is tried elsewhere and who is not
 */

#include "base/ip.h"
#include "base/stream.h"
#include "deliver/delivery.h"
#include "mail/smtp_reply.h"
#include "sasl/mechanism.h"
#include "table/maps.h"

struct dns_result;
struct policy;
struct site;
struct sts;
struct tls;

/* "lmtp" as program name: LHLO, no MX, an outcome for each recipient. */
extern bool is_lmtp;

/* Opened before the jail; never NULL. */
extern struct tables {
	struct maps *generic, *header_checks, *mime_header_checks, *nested_header_checks;
	struct maps *body_checks, *discard_ehlo, *reply_filter, *dns_reply_filter;
	struct maps *pix_workarounds;
	uint16_t default_port; /* smtp_tcp_port */
} tables;
extern struct site site; /* what is local here; own addresses */

/* tables.c: fills `tables`, but for the port. */
void tables_open(void);

/* The tables of the parameter smtp_NAME or lmtp_NAME; what is wrong with them is fatal. */
struct maps *tables_open_maps(const char *name, const char *list);

/* ---- target.c ---- */

/* One nexthop. */
struct target {
	struct span text; /* as it was written; the key of kept sessions */
	struct span host; /* a domain, a host, an address, or a path */
	uint16_t port;
	struct span service; /* to look for in SRV records; empty: none */
	bool is_exact;    /* in brackets, or inet:, or no MX wanted: no MX lookup */
	bool is_unix;
	bool is_fallback; /* from smtp_fallback_relay */
	bool is_one_of_several; /* its health is remembered: relays.c */
};

/* Takes the next target of a list; false at its end. A malformed one has an empty host. */
bool target_next(struct span *rest, struct target *ret);

/* A number or one of the names of mail services; false for anything else. */
MUST_USE bool target_port(struct span text, uint16_t *ret);

/* ---- the request at work ---- */

/* The last failure: what recipients get that nobody took. */
struct why {
	char status[DSN_STATUS_SIZE];
	struct buf reason;
	struct buf remote_mta; /* host name, or empty */
	struct buf diagnostic; /* the server's reply, or empty */
};

enum rcpt_state {
	STATE_LEFT,     /* nobody took it yet */
	STATE_ACCEPTED, /* by the server at hand, in this transaction */
	STATE_REPORTED,
};

/* What a message with REQUIRETLS asks of a next hop (RFC 8689; smtp_requiretls_policy). */
enum requiretls {
	REQUIRETLS_NONE,      /* nothing */
	REQUIRETLS_OFFERED,   /* to be told of it, if it knows REQUIRETLS */
	REQUIRETLS_ENCRYPTED, /* and TLS */
	REQUIRETLS_ENFORCED,  /* and that it knows REQUIRETLS, and is who it says */
};

struct transfer {
	struct delivery *delivery;
	enum rcpt_state *states; /* for each of delivery->rcpts */
	size_t left;             /* not REPORTED */
	struct why why;
	struct buf head;
	struct span sender; /* after generic(5) */
	struct span *rcpt_addresses; /* likewise */
	bool needs_utf8;    /* SMTPUTF8 */
	enum requiretls requiretls; /* of the target at hand */
	bool is_tls_optional; /* "TLS-Required: no": rather in clear text than not at all */
	bool is_last_host;  /* no other will be tried: failures are final for this request */
	bool wants_plain;   /* its TLS was lost, and was no must: the same host again, in clear text */
	bool is_own_backup; /* this machine is an MX of the domain: no fallback relay */
	bool is_own_best;   /* and no other is better: best_mx_transport */
	bool is_unwanted;   /* the last target has said in the DNS that it takes no mail */
	bool is_put_off;    /* somebody may take later what is left: no other verdict returns it */
	/* About the target at hand, for relays.c: */
	bool is_reached;    /* a session came about */
	bool has_taken;     /* it took a recipient's message */
	bool is_in_trouble; /* connection, TLS or login failed, or it refuses whoever sends */
	bool is_unfit;      /* for this message alone, which has REQUIRETLS */
	const struct target *sts_target; /* whose MTA-STS policy was asked for last, and that; or NULL */
	const struct sts *sts;
};

/* ---- relays.c ---- */

/* In prepare(): the memory, which workers inherit. */
void relays_prepare(void);

/*
 * Puts those that failed lately behind the others, where there are several. They are still tried when
 * nobody else takes a message.
 */
void relays_order(struct arena *arena, struct target *targets, size_t count);

/* What came of trying it; transfer->why says why not. Logs when it goes out of service or comes back. */
void relays_note(const struct transfer *transfer, const struct target *target, bool is_well);

/* Whether a reply is about whoever sends, and not about a recipient or a message: a quota, 421. */
bool relays_is_refusal(const struct smtp_reply *reply);

/* ---- dnssec.c ---- */

/* Reads dnssec_probe; in prepare(). */
void dnssec_prepare(void);

/*
 * An answer to a question with DNS_WANT_SECURE: when it is not secure, asks dnssec_probe, in one worker
 * and at most every 200 seconds, and warns when the answer to that is not secure either.
 */
void dnssec_note(const struct dns_result *result);

/* ---- hosts.c ---- */

struct host {
	struct span name;
	struct ip_addr addr;
	uint16_t port;
	unsigned preference;
	unsigned family_rank, order; /* among those of one preference */
	struct span asked;      /* the name that was looked up */
	struct span canonical;  /* where its CNAME chain ends */
	bool is_secure;         /* DNSSEC vouches for the address, */
	bool is_mx_insecure;    /* but not for the MX record that led there */
};

enum { HOSTS_MAX = 100 };

struct hosts {
	struct host list[HOSTS_MAX];
	size_t count;
	unsigned best_preference; /* of all MX records, those without addresses as well */
};

/* Reads the parameters; in prepare(). */
void hosts_prepare(void);

/* Whether MX and SRV records may be asked for. */
bool hosts_have_dns(void);

/*
 * The addresses to try, best first. False: none, transfer->why says why; else that stays as it was, also when
 * some hosts are not there.
 */
bool hosts_find(struct transfer *transfer, const struct target *target, struct hosts *ret);

/* ---- srv.c ---- */

struct msg_dns_record;

/* Sorts them into the order in which they are to be tried. */
void srv_order(struct msg_dns_record *records, size_t count, unsigned (*random_number)(void));

/* ---- connect.c ---- */

/* Works out the source addresses; in prepare(). */
void connect_prepare(void);

/* A connected socket, or -1 with the reason in *why (and in the log). */
int connect_host(const struct host *host, struct why *why);
/* A jailed client gets it from the connect service, if the configuration names the socket, or qmgr. */
int connect_unix(const struct target *target, uint64_t seal, struct why *why);

/* ---- session.c ---- */

enum feature {
	FEATURE_ESMTP = 1 << 0,
	FEATURE_PIPELINING = 1 << 1,
	FEATURE_8BITMIME = 1 << 2,
	FEATURE_SIZE = 1 << 3,
	FEATURE_DSN = 1 << 4,
	FEATURE_SMTPUTF8 = 1 << 5,
	FEATURE_XFORWARD_NAME = 1 << 6,
	FEATURE_XFORWARD_ADDR = 1 << 7,
	FEATURE_XFORWARD_PORT = 1 << 8,
	FEATURE_XFORWARD_PROTO = 1 << 9,
	FEATURE_XFORWARD_HELO = 1 << 10,
	FEATURE_XFORWARD_IDENT = 1 << 11,
	FEATURE_XFORWARD_SOURCE = 1 << 12,
	FEATURE_AUTH = 1 << 13,
	FEATURE_STARTTLS = 1 << 14,
	FEATURE_REQUIRETLS = 1 << 15,
};

struct session {
	bool is_open;
	bool is_broken;  /* the connection or the protocol: nothing more can be said */
	bool delays_dot; /* a workaround for a PIX */
	bool is_closing; /* the server said 421, or we lost interest: not for another message */
	struct stream stream;
	struct smtp_reply reply;
	unsigned features; /* enum feature */
	uint64_t size_limit; /* 0: none */
	unsigned uses;       /* transactions begun */
	struct clock_mono opened;
	struct buf target;   /* its text */
	struct ip_addr addr;
	bool is_best_mx;     /* no MX of the domain has a lower preference */
	bool has_others;     /* its target has other hosts to try when this one fails, before it or behind it */
	struct tls *tls;     /* under the stream; NULL: clear text */
	bool is_verified;    /* in TLS: the server is who it says */
	bool is_tls_optional; /* it was begun with a policy for such messages alone */
	bool needs_tls;      /* by its policy: in clear text nothing counts */
	bool is_tls_a_wish;  /* by its policy: clear text is better than nothing */
	const char *tls_wanted;  /* names of levels, for the log: of the policy; NULL: it had none, */
	const char *tls_reached; /* and what it came to; NULL: nobody knows */
	bool is_tls_missed;      /* that is not good enough */
	bool may_be_reused;  /* by what the policy says of connections with TLS */
	bool is_plain_fallback; /* in clear text, behind a handshake that failed: for mail that has waited */
	struct buf policy;   /* what table and MTA-STS said of this next hop */
	bool knows_sts;      /* MTA-STS was asked for that */
	struct buf tls_key;  /* of the saved session; empty: none is saved */
	struct sasl_mechanisms auth_offer; /* what of it we may use */
	bool is_logged_in;
	unsigned port;       /* 0: a UNIX socket */
	char helo[256];      /* as the server calls itself, printable; or "" */
	char host[256];      /* host name */
	char name[320];      /* "host[192.0.2.1]" */
	char relay[336];     /* "host[192.0.2.1]:25" */
};

enum start {
	START_WELL,
	START_FAILED, /* the recipients were treated by trouble.c */
	START_PLAIN,  /* TLS failed: may be tried again with level none */
};

/* Greeting, EHLO and TLS on a new connection. `session` has been closed unless START_WELL. */
enum start session_start(struct session *session, struct transfer *transfer,
			 const struct policy *policy, int fd);
void session_set_names(struct session *session, const struct target *target,
		       const struct host *host);

/* The server's address or path, as tables are asked for it. */
struct span session_address(const struct session *session);

/* Whether XFORWARD is said before each message: in a kept session behind RSET. */
bool session_wants_xforward(const struct session *session);

/*
 * XFORWARD for this message, when it is wanted. False: the session is of no use, and trouble.c was told
 * unless it was a kept one, which may have been dead.
 */
bool session_xforward(struct session *session, struct transfer *transfer);

/* QUIT when there is somebody to hear it; closes. Harmless when it is closed. */
void session_end(struct session *session);

/* Whether it can be kept for another message, by its state and the limits. */
bool session_may_stay(const struct session *session);

/* ---- auth.c ---- */

/* In prepare(); `passwords` is smtp_sasl_password_maps. */
void auth_prepare(struct maps *passwords);

/* The words behind "AUTH" in a reply to EHLO. */
void auth_take_offer(struct session *session, struct span words);

/* Logs in when the server offers it and there is a password for it. False: trouble.c was told. */
bool auth_log_in(struct session *session, struct transfer *transfer);

/* Whether there may be a password for that server. */
bool auth_has_login(const struct session *session, struct transfer *transfer);

/* ---- refusals.c ---- */

struct sasl_login;

/* In prepare(): the memory, which workers inherit. */
void refusals_prepare(void);

/* The reply by which that server refused that name and password, if that is remembered. */
bool refusals_find(const struct sasl_login *login, struct buf *ret_reply);

/* Remembers it for smtp_sasl_auth_cache_time, when the reply is 535 and that is wanted. */
void refusals_keep(const struct sasl_login *login, const struct smtp_reply *reply);

/* ---- token.c ---- */

/*
 * The access token of an account of smtp_sasl_oauth_file, in the arena. `refused`: the one that the
 * server did not want; it comes back when there is no better one. False: none, *ret_reason says why.
 */
MUST_USE bool token_find(struct arena *arena, struct span account, struct span refused,
			 struct span *ret_token, struct span *ret_reason);

/* ---- pix.c ---- */

/*
 * Looks whether a PIX stands before the server, by its greeting, which is in `session->reply`, and
 * applies the workarounds that are configured for it. *ret_no_esmtp: say HELO.
 */
void pix_detect(struct session *session, const struct transfer *transfer, bool *ret_no_esmtp);

/* The pause before the final dot, where it is wanted. */
void pix_delay_dot(struct session *session);

/* ---- chat.c ---- */

enum chat {
	CHAT_OK,
	CHAT_LOST,
	CHAT_TIMEOUT,
	CHAT_MALFORMED,
};

/* Adds a command line (without CRLF) to what is to be sent. */
void chat_say(struct session *session, const char *format, ...) PRINTF_LIKE(2, 3);

/* Who sees each line of the dialogue, '>' or '<' in front; NULL: the log of a verbose client alone. */
typedef void chat_tracer_fn(char direction, struct span line);
void chat_trace_to(chat_tracer_fn *tracer);

/* A line of the dialogue, for those. */
void chat_trace(const struct session *session, char direction, struct span line);

typedef void chat_line_fn(void *context, struct span line, bool is_first);

/*
 * Sends what is there and reads one reply into session->reply, each line within `timeout_s`, or all
 * with smtp_per_request_deadline. `on_line`, which may be NULL, gets the text of each line. After
 * anything but CHAT_OK the session is broken.
 */
enum chat chat_listen(struct session *session, int timeout_s, chat_line_fn *on_line, void *context);

/* ---- transaction.c ---- */

/*
 * One message through an open session. False: the session, which had been kept, was dead
 * before the server said anything; nothing has happened. Else all is in transfer->states.
 */
bool transaction_run(struct session *session, struct transfer *transfer);

/* ---- content.c ---- */

enum content {
	CONTENT_SENT,   /* all but the final dot; it ends with CRLF */
	CONTENT_FAILED, /* by our fault: why is set, and the server must not get the dot */
};

/* Reads the head; it is needed before MAIL. False: damaged, why is set. */
bool content_prepare(struct transfer *transfer);
enum content content_send(struct session *session, struct transfer *transfer);

/* The end of the chain: one line or piece of one, to be dot-stuffed and folded. */
struct wire {
	struct session *session;
	size_t line_limit; /* 0: none */
	size_t column;
	uint64_t deadline_bytes;
	struct clock_mono start;
};

void wire_start(struct wire *wire, struct session *session);
void wire_line(void *wire, struct span text, bool has_line_end);
/* Bytes that are known to need nothing. */
void wire_raw(struct wire *wire, struct span bytes);

/* ---- convert.c ---- */

bool convert_is_needed(const struct session *session, const struct transfer *transfer);
enum content convert_send(struct wire *wire, struct transfer *transfer);

/* ---- generic.c ---- */

/*
 * Appends the address as generic(5) has it, in internal form. TABLE_NOT_FOUND: it stays as it is,
 * nothing was appended.
 */
MUST_USE enum table_status generic_address(struct span address, struct buf *out);

/* Sets sender and rcpt_addresses. False: a table failed, why is set. */
MUST_USE bool generic_envelope(struct transfer *transfer);

/* ---- trouble.c ---- */

void why_init(struct why *why);
void why_done(struct why *why);
void why_set(struct why *why, const char *status, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same for the server's last reply: "host X said: REPLY (in reply to WHAT)". */
void why_said(struct why *why, const struct session *session, const char *what);
/* "SASL authentication failed; server X said: REPLY"; with `is_old`, that it said so before. */
void why_unauthenticated(struct why *why, const struct session *session, bool is_old);
/* "TLS is required, but host X refused to start TLS: REPLY" */
void why_tls_refused(struct why *why, const struct session *session);
/* "host X refused to talk to me: REPLY" */
void why_refused(struct why *why, const struct session *session);

/*
 * All that are not reported yet fail as transfer->why says; those that failed for now and can be
 * tried at another host stay LEFT. The kinds differ in whether the destination is in trouble.
 */
void fail_site(struct transfer *transfer, const struct session *session);
void fail_message(struct transfer *transfer, const struct session *session);
/* The same for those that the server has accepted: others may still go to another host. */
void fail_accepted(struct transfer *transfer, const struct session *session);
void fail_rcpt(struct transfer *transfer, const struct session *session, size_t index);

/* The connection failed in the way of `chat`, "while `doing`". */
void fail_chat(struct transfer *transfer, const struct session *session, enum chat chat,
	       const char *doing);

/* This host cannot do what REQUIRETLS asks for, since it lacks `what`: the next one may. */
void fail_requiretls(struct transfer *transfer, const struct session *session, const char *what);

/* No host is left: everybody fails as why says. `session` is NULL. */
void fail_rest(struct transfer *transfer);

/* Taken over by the server, with its reply. */
void report_sent(struct transfer *transfer, const struct session *session, size_t index);

/* ---- deliver.c ---- */

void deliver_message(struct delivery *delivery);
void deliver_idle(void);

#endif
