/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_CHECK_H
#define SMTPD_CHECK_H

/*
 * Restrictions: the lists of smtpd_*_restrictions, parsed once into rows of the table in
 * restrict.c, and evaluated at each stage of a session. A check function says permit, reject
 * or nothing (dunno); a rejection has its reply in session->reply and is logged where it is
 * made. postconf(5), SMTPD_ACCESS_README.
 */

#include "smtpd/session.h"

enum verdict { CHECK_DUNNO, CHECK_PERMIT, CHECK_REJECT };

/* What the reply is about: in front of the text, "<a@b>: Sender address rejected: ..." */
enum subject { SUBJECT_CLIENT, SUBJECT_HELO, SUBJECT_SENDER, SUBJECT_RCPT, SUBJECT_DATA,
	       SUBJECT_END_OF_DATA, SUBJECT_ETRN, SUBJECT_LOGIN };

struct deferral {
	bool is_set;
	struct buf reply;
};

/* One evaluation of the lists for one command. */
struct check {
	struct session *session;
	enum stage stage;
	const char *verb;        /* for the log: CONNECT, HELO, RCPT, DATA, END-OF-MESSAGE, ETRN */
	struct span rcpt;        /* at RCPT and VRFY, else empty */
	struct span etrn_domain;
	bool warn_if_reject;
	bool is_data;            /* DATA or later: the recipient is not shown when there are more */
	int depth;               /* of restriction classes */
	struct deferral if_permit, if_reject;
	struct route route;      /* of `rcpt`, when it was resolved */
	enum route_status route_status;
	bool is_resolved;
};

struct restriction;
typedef enum verdict check_fn(struct check *check, const struct restriction *restriction);

/* How a name in a list gets its argument. */
enum restriction_arg {
	ARG_NONE,
	ARG_TABLE,  /* check_sender_access hash:/etc/x */
	ARG_DOMAIN, /* reject_rbl_client list.example */
	ARG_NUMBER, /* sleep 5 */
	ARG_POLICY, /* check_policy_service inet:host:port */
};

struct restriction_row {
	const char *name;
	check_fn *check;
	enum restriction_arg arg;
	enum subject subject;
};

struct restriction {
	const struct restriction_row *row;
	struct maps *maps;            /* ARG_TABLE */
	struct span text;             /* the argument */
	struct policy_server *policy; /* ARG_POLICY */
	struct restriction_list *list; /* a class */
};

struct restriction_list {
	struct restriction *list;
	size_t count;
};

/* Parses smtpd_restriction_classes: once, before any list. */
void restrictions_parse_classes(void);

/* Parses a list; anything wrong in it is fatal(), with the parameter's name. */
struct restriction_list *restrictions_parse(const char *parameter, const char *text);

/* Evaluates a list that an access table or a policy server gave; what it does not know is 451. */
enum verdict restrictions_run_text(struct check *check, struct span text);

/* The next word of a list, which it takes; "{ a b }" is one, without its braces. */
struct span restriction_word(struct span *rest);

/* What a restriction that names nothing in particular is about, in the list that is evaluated. */
enum subject restriction_subject(const struct check *check);

enum verdict restrictions_run(struct check *check, const struct restriction_list *list);

/*
 * The checks of each command, all due stages in order. True: go on. False: session->reply is the
 * answer.
 */
MUST_USE bool check_connect(struct session *s);
MUST_USE bool check_helo(struct session *s);
MUST_USE bool check_mail(struct session *s);
MUST_USE bool check_rcpt(struct session *s, struct span rcpt, const char *verb);
MUST_USE bool check_data(struct session *s);
MUST_USE bool check_end_of_data(struct session *s);
MUST_USE bool check_etrn(struct session *s, struct span domain);

/* ---- for the families of checks ---- */

/*
 * Refuses: sets the reply "CODE STATUS <what>: Subject rejected: TEXT", softened under soft_bounce, logs
 * it, and returns CHECK_REJECT; or, behind warn_if_reject, logs and returns CHECK_DUNNO. `text`
 * is printed behind the subject's words.
 */
enum verdict check_reject(struct check *check, enum subject subject, int code, const char *status,
			  const char *format, ...) PRINTF_LIKE(5, 6);

/* The same with the whole reply text behind code and status given. */
enum verdict check_reject_plain(struct check *check, int code, const char *status,
				const char *format, ...) PRINTF_LIKE(4, 5);

/* Makes what is refused for good later one for now: defer_if_reject. The first text counts. */
enum verdict check_defer_if_reject(struct check *check, enum subject subject, const char *status,
				   struct span text);

/* Refuses unless something later rejects for good: defer_if_permit and *_tempfail_action. */
enum verdict check_defer_if_permit(struct check *check, enum subject subject, int code,
				   const char *status, const char *format, ...) PRINTF_LIKE(5, 6);

/*
 * Something could not be found out: a *_tempfail_action says whether to refuse for now at once
 * ("defer", "reject"), or unless something later rejects for good.
 */
enum verdict check_tempfail(struct check *check, const char *action, enum subject subject, int code,
			    const char *status, const char *format, ...) PRINTF_LIKE(6, 7);

/* A table or daemon failed: 451 4.3.5, a temporary matter of ours. */
enum verdict check_local_fault(struct check *check, const char *what);

/* What the configuration says makes no sense; the log was told. 451 4.3.5. */
enum verdict check_config_error(struct check *check);

/* smtpd_log_access_permit_actions: `action` of `table` (NULL: a restriction's name) permits. */
void check_log_permit(const struct check *check, enum subject subject, const char *action,
		      const char *table);

/* "warn:", "info:", "discard:" and the like in the log, in the form of a rejection. */
void check_log(const struct check *check, const char *action, const char *text);

/* The recipient that a check is about: at DATA and later the only one, else none. */
struct span check_rcpt_of(const struct check *check);

/* "<a@b>" or "<name[addr]>", what a subject is at this moment. Static. */
const char *subject_text(const struct check *check, enum subject subject);
/* "Client host", "Sender address" ... */
const char *subject_word(enum subject subject);

/* Resolves check->rcpt once; ROUTE_OK or ROUTE_ERROR. */
enum route_status check_resolve(struct check *check);

/* access.c: what an access table's value does. */
enum verdict access_action(struct check *check, enum subject subject, struct span value,
			   const char *table);

/* The families. */
check_fn restrict_permit, restrict_reject, restrict_defer, restrict_defer_if_permit,
	restrict_defer_if_reject, restrict_warn_if_reject, restrict_sleep, restrict_class,
	restrict_own_access, restrict_unknown;
check_fn check_client_access, check_reverse_client_access, permit_mynetworks,
	permit_inet_interfaces, reject_unknown_client, reject_unknown_reverse_client,
	reject_unknown_forward_client, check_address_map;
check_fn check_host_a_access, check_host_mx_access, check_host_ns_access, check_reverse_a_access,
	check_reverse_mx_access, check_reverse_ns_access, permit_mx_backup;
check_fn check_helo_access, reject_invalid_helo, reject_non_fqdn_helo, reject_unknown_helo;
check_fn check_sender_access, reject_non_fqdn_sender, reject_unknown_sender_domain,
	reject_unlisted_sender, reject_unverified_sender;
check_fn check_rcpt_access, reject_non_fqdn_rcpt, reject_unknown_rcpt_domain,
	reject_unlisted_rcpt, reject_unauth_destination, defer_unauth_destination,
	permit_auth_destination, reject_unverified_rcpt;
check_fn reject_multi_recipient_bounce, reject_unauth_pipelining;
check_fn permit_tls_clientcerts, permit_tls_all_clientcerts, check_ccert_access,
	reject_plaintext_session;
check_fn check_etrn_access, check_policy_service;
check_fn permit_sasl_authenticated, check_sasl_access, reject_login_mismatch,
	reject_login_mismatch_known, reject_login_mismatch_in, reject_login_mismatch_out;
check_fn reject_rbl_client, permit_dnswl_client, permit_rhswl_client, reject_rhsbl_client, reject_rhsbl_helo,
	reject_rhsbl_sender, reject_rhsbl_rcpt, reject_rhsbl_reverse_client;

/* rcpt_maps.c: whether a recipient (or, for reject_unlisted_sender, a sender) exists. */
enum verdict check_listed(struct check *check, struct span address, enum subject subject);

#endif
