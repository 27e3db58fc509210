/* SPDX-License-Identifier: MIT */
#ifndef SMTP_TLS_H
#define SMTP_TLS_H

/*
 * TLS in the client. For each host, before the connection, policy_make() says what is wanted
 * there (tls_policy.c, dane.c for TLSA records, sts.c for MTA-STS); session_start() does it by client_tls_start()
 * (tls.c). Nothing that a policy of level encrypt or higher is about ever goes in clear text.
 */

#include "mail/sts.h"
#include "mail/tlsrpt.h"
#include "smtp.h"
#include "tls/tls.h"

struct dns_result;
struct tls_chains;

/* What MTA-STS says of a domain; in the arena of the delivery, as are its texts. */
struct sts {
	struct span domain;
	bool has_policy;
	struct sts_policy policy;
	struct span id;
	uint32_t failure; /* enum sts_failure of ipc/sts.h, and its reason */
	struct span reason;
};

enum level {
	LEVEL_NONE,
	LEVEL_MAY,
	LEVEL_ENCRYPT, /* from here on clear text is out of the question */
	LEVEL_FINGERPRINT, /* from here on the server must be who it says */
	LEVEL_HALF_DANE, /* DANE behind MX records that anybody may have forged */
	LEVEL_DANE,
	LEVEL_DANE_ONLY,
	LEVEL_VERIFY,
	LEVEL_SECURE,
};

/* What a report says of a policy (report.c). */
struct report_policy {
	struct span domain;            /* the next hop; empty: nothing is noted */
	enum tlsrpt_policy_type type;  /* 0: not known yet */
	struct span policy_domain;
	struct span strings, mx_patterns; /* lines */
	enum tlsrpt_failure failure;   /* of the policy itself, whatever becomes of the session */
	const char *reason;
};

/* In the arena of the delivery, as are its texts. */
struct policy {
	enum level level;
	enum level wanted;       /* before what DNS and messages make of it; never below `level` */
	bool may_reuse;          /* smtp_tls_connection_reuse */
	const char *protocols, *ciphers, *exclude; /* NULL: as configured for the level */
	const char *server_name; /* for SNI; NULL: none */
	const struct span *names; /* fingerprints, or patterns for the names in the certificate */
	size_t name_count;
	const char *dane_name;   /* TLSA base domain; NULL: no DANE */
	const char *dane_domain; /* which a DANE-TA certificate may name as well; or NULL */
	const struct tls_dane *dane;
	size_t dane_count;
	const struct sts *sts;   /* MTA-STS, in mode testing or enforce; NULL: none that counts here */
	bool is_sts;             /* the level is that of an MTA-STS policy, ours or a table's, */
	struct span sts_domain;  /* which is of that domain */
	struct report_policy report;
	struct span sts_host;    /* the MX host by its own name, which its certificate must have */
};

/* ---- tls_policy.c ---- */

/* In prepare(). */
void policy_prepare(void);

/* A level in place of smtp_tls_security_level; false: there is none of that name. */
MUST_USE bool policy_set_level(struct span name);

/* As it is written in main.cf. */
const char *policy_level_name(enum level level);

/* Whether any TLS may come up: else OpenSSL need not be started. */
bool policy_may_want_tls(void);

/* Whether MTA-STS policies may count: else authorities of the web need not be read. */
bool policy_may_want_sts(void);

/*
 * What is wanted at `host` (NULL: a UNIX socket) of `target`. False: nothing must be sent there,
 * transfer->why says why, and the log has it.
 */
MUST_USE bool policy_make(struct transfer *transfer, const struct target *target,
			  const struct host *host, struct policy *ret);

/*
 * What tables, or with `with_sts` MTA-STS, say of that next hop, for telling whether it is what it was
 * when a session began. False: they cannot be asked.
 */
MUST_USE bool policy_find(struct transfer *transfer, const struct target *target, bool with_sts,
			  struct buf *ret_text);

/* The name in A-labels; as it is when that cannot be. In the arena, with a NUL behind. */
struct span policy_ascii_name(struct arena *arena, struct span name);

/* ---- tls_status.c ---- */

/* A session begins: how its TLS is is not known yet. */
void tls_status_begin(struct session *session, const struct policy *policy);

/* So it is: `level` is what the policy wanted, or what was reached instead. */
void tls_status_reach(struct session *session, enum level level);

/* This is all that was reached, and it is not enough: nothing is sent. Before fail_site(). */
void tls_status_miss(struct session *session, enum level level);

/* Appends what follows "tls=" for an outcome of this status; nothing when that is not wanted. */
void tls_status_describe(const struct transfer *transfer, const struct session *session,
			 const char *status, struct buf *out);

/* ---- requiretls.c ---- */

/* In prepare(). */
void requiretls_prepare(void);

/*
 * Sets transfer->requiretls and is_tls_optional for this target, by the message and the
 * configuration. False: the policy cannot be known, transfer->why says why.
 */
MUST_USE bool requiretls_find(struct transfer *transfer, const struct target *target);

/* Raises or lowers the level to what the message asks for; before TLSA records are looked up. */
void requiretls_adjust(const struct transfer *transfer, struct policy *policy);

/* Whether the message may go where this is the policy. False: transfer->why says why not. */
MUST_USE bool requiretls_permits(struct transfer *transfer, const struct host *host,
				 const struct policy *policy);

/* Whether an open session is good enough for the message. */
bool requiretls_fits(const struct session *session, const struct transfer *transfer);

/* Whether MAIL has the parameter. */
bool requiretls_is_said(const struct session *session, const struct transfer *transfer);

/* 5.7.30 in transfer->why, unless a host before this one may do better another time. */
void requiretls_refuse(struct transfer *transfer, const char *format, ...) PRINTF_LIKE(2, 3);

/* ---- dane.c ---- */

/* Adds TLSA records to a policy of level dane or dane-only, or lowers it. False: as above. */
MUST_USE bool dane_apply(struct transfer *transfer, const struct target *target,
			 const struct host *host, struct policy *policy);

/* ---- sts.c ---- */

#define STS_NO_SUCH_HOST "no such MX host in the policy"

/*
 * What policyfetch says of the target's domain, asked once a transfer. *ret is NULL where MTA-STS is not
 * wanted or cannot be: no MX records are followed. False: it cannot be asked, transfer->why is set.
 */
MUST_USE bool sts_find(struct transfer *transfer, const struct target *target,
		       const struct sts **ret);

/*
 * Raises a policy of level may (or what dane_apply() has left) to what the domain's MTA-STS policy wants
 * of `host`. False: this host must not be used, transfer->why says why.
 */
MUST_USE bool sts_apply(struct transfer *transfer, const struct target *target,
			const struct host *host, struct policy *policy);

/*
 * One line for the log where the MTA-STS policy, if there is one, refuses a host, or in mode testing
 * would do so. All such decisions come by here.
 */
void sts_note(const struct policy *policy, const char *relay, const char *what);

/* Sets transfer->why for a host that is none of those that an MTA-STS policy allows. */
void sts_refuse(struct transfer *transfer, const struct policy *policy, const struct host *host);

/* Adds to transfer->why, where the policy is one of MTA-STS, whose it is. */
void sts_explain(struct transfer *transfer, const struct policy *policy);

/* Appends what tells one policy from another. False: as above. */
MUST_USE bool sts_describe(struct transfer *transfer, const struct target *target, struct buf *out);

/* ---- report.c ---- */

/* From dane.c: the TLSA records of `base`, usable or not, are the policy. */
void report_dane(struct arena *arena, struct span base, const struct dns_result *result,
		 struct policy *policy);

/* The policy itself is in trouble; of type and domain as given where nothing is known of it. */
void report_policy_failure(struct policy *policy, enum tlsrpt_policy_type type, struct span domain,
		    enum tlsrpt_failure failure, const char *reason);

/* Completes policy->report when the policy is known, or could not be made. */
void report_policy(struct transfer *transfer, const struct target *target, struct policy *policy);

/* A session that came to nothing, or a host that cannot even be tried by its policy. */
void report_session(const struct session *session, const struct policy *policy,
		    enum tlsrpt_failure failure, const char *reason);
void report_host(const struct host *host, const struct policy *policy);

/* A handshake that was finished. `is_match`: the server is who the policy says. */
void report_handshake(const struct session *session, const struct policy *policy, bool is_match);

/* ---- tls.c ---- */

/* Before the jail, after policy_prepare(): reads files, starts OpenSSL. */
void client_tls_prepare(void);

/*
 * Certificates to show whose keys are in this process: for a command of the administrator, who may
 * read them; a worker gets its own from keysign. Taken over. False with a reason.
 */
MUST_USE bool client_tls_show(struct tls_chains *chains, struct buf *ret_error);

/*
 * Who looks at each handshake before anything follows from it. `is_match`: the server is who the
 * policy wants it to be. True: go on as if it were.
 */
typedef bool client_tls_observer_fn(const struct session *session, const struct policy *policy,
				    bool is_match);
void client_tls_observe(client_tls_observer_fn *observer);

enum client_tls {
	CLIENT_TLS_ON,
	CLIENT_TLS_PLAIN, /* failed; the policy allows a new connection in clear text */
	CLIENT_TLS_FAILED, /* trouble.c was told */
};

/* Before each session: asks for renewed certificates. False: no TLS here, the log has said why. */
bool client_tls_is_ready(void);

/* The handshake, behind the reply to STARTTLS or on a new connection, and what the policy wants of it. */
enum client_tls client_tls_start(struct session *session, struct transfer *transfer,
				 const struct policy *policy);

/*
 * Whether the message may go in clear text when the TLS of this session fails: the policy has it as a
 * wish, the message has waited, and no password would go with it.
 */
bool client_tls_may_go_plain(const struct session *session, struct transfer *transfer);

/* Before the connection is closed: keeps what makes the next handshake short. */
void client_tls_save(struct session *session);

#endif
