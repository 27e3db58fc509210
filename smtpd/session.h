/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

/*
 * One SMTP session, for the files of smtpd/ alone. session_reset_mail() is the one place where
 * a mail transaction ends, session_end() the one where a session does.
 */

#include "base/mem.h"
#include "base/stream.h"
#include "ipc/channel.h"
#include "mail/smtp_cmd.h"
#include "net/rates.h"
#include "route/site.h"
#include "smtpd/notice.h"
#include "smtpd/tables.h"

/* What is known about a name of the client: by a lookup that went well, failed for now, or ... */
enum peer_status { PEER_OK, PEER_TEMPORARY, PEER_PERMANENT, PEER_FORGED };

struct peer {
	char addr[64];
	char port[8];
	char name[256];         /* verified host name, or "unknown" */
	char reverse_name[256]; /* PTR alone, or "unknown" */
	char server_addr[64];
	char server_port[8];
	enum peer_status name_status, reverse_status;
};

enum { VERB_COUNT_MAX = 24, SAID_MAX = 100 };

/* Whether smtpd_client_event_limit_exceptions has the client; looked up when it matters. */
enum exemption { EXEMPT_UNKNOWN, EXEMPT_NO, EXEMPT_YES };

/* What accessible tables decided about the whole message; see smtpd/access.c. */
struct message_actions {
	struct buf content_filter; /* FILTER */
	struct buf redirect_to;
	struct buf prepended; /* header lines, CRLF */
	struct span *bcc;
	size_t bcc_count;
	bool must_hold, must_discard;
};

struct recipient {
	struct span address, orcpt;
	unsigned notify;
};

/* One mail transaction, MAIL to the end of data. */
struct transaction {
	bool is_open;         /* MAIL was accepted */
	struct smtp_mail mail;
	struct recipient *rcpts;
	size_t rcpt_count, rcpt_room;
	size_t rcpts_refused;
	struct message_actions actions;
	bool was_logged;      /* "QUEUEID: client=..." */
	bool in_bdat;         /* a chunk was accepted */
	bool is_broken;       /* content is read and dropped; `failure` is the answer */
	struct buf failure;
	uint64_t content_bytes;
	char last_byte;        /* of the content so far */
	bool saw_bare_newline; /* smtpd_forbid_bare_newline */
};

struct session {
	struct stream stream;
	struct ipc_channel front; /* to the front that handed it over; see smtpd/handover.c */
	struct msg_front_offer offer; /* counts and flags; its texts are used up at the start */
	struct peer peer;
	struct tls *tls; /* of the stream, while it is on; see smtpd/tls.h */
	bool is_tls_hidden; /* smtpd_discard_ehlo_keywords */
	bool has_tls_warning; /* the log was told that it cannot be on */
	struct ipc_channel cleanup;
	char queue_id[32]; /* of the next message, once cleanup was reached */
	bool has_envelope; /* cleanup has the beginning of a message */
	struct buf content; /* content on its way to cleanup */
	struct lookup lookup; /* what tables said in this transaction */

	/* HELO */
	struct buf helo;
	bool is_esmtp;
	unsigned ext; /* extensions announced: enum smtp_ext */
	bool may_pipeline, has_chunking;
	const char *protocol; /* SMTP, ESMTP */

	/* AUTH */
	struct buf login; /* who has logged in; empty: nobody. See smtpd/auth.h */
	char login_method[24];

	/* MAIL */
	struct transaction mail;
	struct arena mail_arena;

	/* accounting */
	enum exemption exemption; /* from the limits of limits.c */
	const char *where; /* what the client did last: "CONNECT", "EHLO", "DATA" */
	char said[SAID_MAX]; /* the beginning of that command, for the log, or nothing */
	size_t said_size;
	int errors, junk;
	unsigned done[VERB_COUNT_MAX], tried[VERB_COUNT_MAX];
	bool must_close;
	struct buf reply; /* of the last check, see smtpd/check.h */
	struct buf words; /* decoded parts of MAIL and RCPT */
	struct arena line_arena; /* a command that smtpd_command_filter made */
	bool is_stressed;
	unsigned troubles;       /* enum notice_class */
	struct buf transcript;
	bool is_debugged; /* debug_peer_list */
	int transcript_lines;
	bool is_transcript_cut;
	unsigned transactions;   /* number of this one: a policy request's instance */
	struct clock_wall started;
};

/* A command that may be given: one row in smtpd/commands.c. */
struct verb {
	const char *name;
	void (*handle)(struct session *s, struct span arguments);
	unsigned flags; /* enum verb_flag */
};

enum verb_flag {
	VERB_IS_JUNK = 1 << 0,     /* counts against smtpd_junk_command_limit */
	VERB_NO_PIPELINE = 1 << 1, /* must be the last of a group: RFC 2920 3.1 */
	VERB_IS_SECRET = 1 << 2,   /* its arguments are for no transcript */
	VERB_BEFORE_TLS = 1 << 3,  /* also where the client has to say STARTTLS first: RFC 3207 4 */
};

/* commands.c: the loop from the greeting to the end. */
void session_run(struct session *s);

/* ---- answering: reply.c ---- */

/*
 * Sends one reply line, "250 2.1.0 Ok" with its code and enhanced code. 4xx and 5xx count as errors of the
 * client: they slow it down beyond smtpd_soft_error_limit. 421 closes. Such a reply is logged, with the
 * command that it is about; not so "%s", which is that of a restriction or of cleanup.
 */
void reply(struct session *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* As reply(), of what is in the log already. */
void reply_logged(struct session *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* The line in the log of a refused command. */
void log_refusal(const struct session *s, struct span text);
/* As reply() without delay and without counting: for what is not the client's fault. */
void reply_quietly(struct session *s, const char *format, ...) PRINTF_LIKE(2, 3);
/* The name and address of the client as logged: NAME[ADDR]. Static. */
const char *client_text(const struct session *s);

/* ---- commands, a file each ---- */

void cmd_helo(struct session *s, struct span arguments);
void cmd_ehlo(struct session *s, struct span arguments);
void cmd_auth(struct session *s, struct span arguments);
void cmd_mail(struct session *s, struct span arguments);
void cmd_rcpt(struct session *s, struct span arguments);
void cmd_data(struct session *s, struct span arguments);
void cmd_bdat(struct session *s, struct span arguments);
void cmd_rset(struct session *s, struct span arguments);
void cmd_noop(struct session *s, struct span arguments);
void cmd_unauthorized(struct session *s, struct span arguments);
void cmd_vrfy(struct session *s, struct span arguments);
void cmd_etrn(struct session *s, struct span arguments);
void cmd_help(struct session *s, struct span arguments);
void cmd_quit(struct session *s, struct span arguments);

/* Ends the transaction in progress, whatever its state. */
void session_reset_mail(struct session *s);

/* ---- handing over: submit.c ---- */

/* Has a connection to cleanup, and so a queue id. False: answer 451 4.3.0. */
MUST_USE bool submit_begin(struct session *s);
/* Envelope and recipients; then content in pieces; failures are kept for the end. */
void submit_envelope(struct session *s);
void submit_content(struct session *s, struct span bytes);
/* The end of the content: waits for cleanup's verdict and answers the client. */
void submit_finish(struct session *s);
/* Content is no longer wanted; cleanup forgets the message. */
void submit_abandon(struct session *s);

/* peer.c: fills in the addresses, and the names as smtpd_peername_lookup says. */
void peer_find(struct session *s);

/*
 * handover.c: takes the client that comes over `fd`, a connection of the front. Its socket, or -1 when
 * the front has taken it back; then the connection is closed.
 */
MUST_USE int handover_take(struct session *s, int fd);
/* The front may end the session while its client is silent; call it when the stream is open. */
void handover_listen(struct session *s);
/* Tells the front that the session is over. */
void handover_end(struct session *s);

/* ---- limits on what one client does: limits.c ---- */

/* In the template. */
void limits_prepare(void);
/* Warnings that say, now and then, how to raise a limit that was reached. */
void limit_advise_space(void);
void limit_advise_rcpts(void);
/* Whether the front left it to us to refuse this client, and it is refused; says so. */
MUST_USE bool limit_connection(struct session *s);
/*
 * Counts one event and says whether that is over the client's limit; asks anvil only when there
 * is a limit. The caller answers; it was logged.
 */
MUST_USE bool limit_is_passed(struct session *s, enum rate_kind kind);

/* Counts a failed login; true when that is one too many and the client is banned: smtpd_auth_ban_limit. */
MUST_USE bool limit_failed_login(struct session *s);

#endif
