/* SPDX-License-Identifier: MIT */
#ifndef CLEANUP_CLEANUP_H
#define CLEANUP_CLEANUP_H

/*
 * What the parts of cleanup share: the state of the one message that a worker is busy with. A
 * message is opened, gets its recipients, then its content piece by piece, and is finished;
 * message_reset() ends it whatever happened. All text that is to last lives in its arena.
 */

#include "ipc/submit.h"
#include "mail/header.h"
#include "queue/envelope.h"
#include "queue/file.h"
#include "queue/id.h"
#include "base/mem.h"
#include "table/lookup.h"

/* What a client program may ask for: a row of the permit table in cleanup.c. */
struct submitter {
	const char *client;
	unsigned options;     /* enum submit_option */
	unsigned flags;       /* enum envelope_flag */
	bool returns_refused; /* what is refused goes back to its sender by mail */
};

enum {
	HEAD_MAX_BYTES = 4 * 1024 * 1024, /* of a message's whole header section */
	BODY_PIECE_BYTES = 64 * 1024,     /* body checks see so much of a line at once */
};

/* Where in the content the next byte stands. */
enum content_place { CONTENT_START, CONTENT_HEAD, CONTENT_BODY };

struct content {
	enum content_place place;
	struct buf line;    /* the beginning of a line whose end has not come */
	struct buf fixed;   /* a line with its stray bytes repaired */
	struct buf unconverted; /* as `line`, in front of the conversion to 7bit */
	uint64_t size;      /* bytes that came */
	uint64_t line_size; /* of the body line that is being read */
	bool is_after_cr;   /* the last byte of the last piece was a CR */
};

/* What SUBMIT_ASK_AUTHORS is about; see authors.c. */
struct authors {
	struct buf from;   /* addresses of From:, a line each */
	struct buf sender; /* of Sender: */
	struct buf held;   /* finished Sender: headers, until it is known whether they stay */
	size_t from_count, sender_count; /* headers */
	bool is_from_odd, is_sender_odd; /* one was not understood */
};

/* The header section in the making. */
struct head {
	struct buf header; /* the header that is being read, with its continuation lines */
	bool is_cut;       /* header_size_limit: the rest of this header is left out */
	struct buf out;    /* the finished headers */
	bool has[HEADER_ID_COUNT]; /* headers that were seen */
	bool has_addressee; /* one of them names recipients */
	bool is_resent;     /* there is a Resent- header */
	bool has_8bit;
	int hops;           /* Received: headers */
	struct authors authors;
};

struct maps;
struct mime;
struct mime_7bit;
struct site;

struct message {
	char id[QUEUE_ID_MAX];
	const struct submitter *submitter;
	unsigned options;
	struct arena arena;
	struct lookup lookup; /* answers of tables that this message needed */
	struct msg_envelope envelope;
	struct span rcpt_for_trace; /* the only recipient, as the client said it; or empty */
	struct span last_rcpt;      /* for log lines */
	size_t rcpts_given;
	struct msg_rcpt *rcpts;
	size_t rcpt_count, rcpt_room;
	struct htab dups; /* recipients that are in the list */
	struct content content;
	struct head head;
	struct mime *mime; /* NULL: nothing looks into the body */
	struct mime_7bit *seven_bit; /* NULL: nothing is converted */
	bool is_checked;      /* header and body checks apply, and go on */
	bool is_full;         /* too big: the rest of the content is dropped */
	const char *refusal;  /* refused and to be returned: "error:5.7.1 why"; else NULL */
	struct buf filtered;  /* a piece of content without the characters to be stripped */
	struct queue_writer writer;

	enum submit_result result; /* SUBMIT_OK as long as nothing is wrong */
	char status[16];
	struct buf reason;
};

/* ---- message.c ---- */

void message_init(struct message *message);
void message_reset(struct message *message);

/*
 * Starts a message: takes envelope and options over, and makes its file. The spans of the envelope
 * are in the message's arena, or last as long.
 */
void message_open(struct message *message, const struct msg_envelope *envelope,
		  unsigned options);
void message_add_rcpts(struct message *message, struct span rcpts);
void message_add_data(struct message *message, struct span bytes);

/* The end of the content: commits or drops the message. Its result is final then. */
/* All data has come; then the client may be asked (authors_settle()), then the message is made durable. */
void message_end_content(struct message *message);
void message_finish(struct message *message);

/* Whether the message may still be accepted. */
bool message_is_good(const struct message *message);

/* Notes the first failure; later ones change nothing. `reason` is one line. */
void message_fail(struct message *message, enum submit_result result, const char *status,
		  const char *reason);

/*
 * The content is not wanted: the client gets that result, or, when nobody there can tell the
 * sender, the message is accepted and goes to the error transport.
 */
void message_refuse(struct message *message, enum submit_result result, const char *status,
		    const char *reason);

/* A local fault, logged: the client shall try again. */
void message_defer(struct message *message, const char *what, int error);

/* A table did not answer. */
void message_table_failed(struct message *message, const char *map, struct span key);

/* ---- content.c ---- */

void content_prepare(void);
void content_reset(struct content *content);
void content_start(struct message *message);
void content_add(struct message *message, struct span bytes);
void content_end(struct message *message);

/* Writes a line, or a piece of one, of a body that is looked into. */
void content_put(struct message *message, struct span line, bool has_line_end);

/* ---- headers.c ---- */

void head_prepare(void);
void head_reset(struct head *head);

/* Starts the section with this hop's Received: header. */
void head_begin(struct message *message);

/* A line of the header section, without line end; false when the body begins with it. */
bool head_add_line(struct message *message, struct span line, bool is_first);

/* The body begins: the last header is finished, and what is missing is added. */
void head_end(struct message *message);

/* Adds a header with its line end to the finished ones, unless it is one to be dropped. */
void head_put(struct message *message, struct span raw);

/* ---- received.c ---- */

/* Appends the Received: header of this hop. */
void received_make(const struct message *message, struct buf *out);

/* ---- rewrite.c ---- */

void rewrite_prepare(void);

/* This site's routing, for what else looks addresses up. */
struct site *rewrite_site(void);

/* Opens the tables of a parameter for addresses; what cannot be opened is fatal. */
struct maps *rewrite_open_maps(const char *title, const char *list);

/* Whether propagate_unmatched_extensions has the word. */
bool rewrite_propagates(const char *what);

/* The envelope sender, and a recipient (also of a copy), in their final form; in the arena. */
struct span rewrite_sender(struct message *message, struct span address);
struct span rewrite_rcpt(struct message *message, struct span address);

/* Appends the value of an address header with its addresses rewritten; false: unchanged. */
bool rewrite_header(struct message *message, const struct header *header, struct buf *out);

/* ---- expand.c ---- */

void expand_prepare(void);

/* Adds what a recipient of the client becomes: rewritten, with aliases expanded, with copies. */
void expand_rcpt(struct message *message, const struct msg_rcpt *rcpt);

/* Adds a recipient of a copy, who gets no report when it fails. */
void expand_bcc(struct message *message, struct span address);

/* Adds the copies that the sender brings, and those of all mail. */
void expand_sender_bcc(struct message *message);
void expand_always_bcc(struct message *message);

/* ---- checks.c ---- */

void checks_prepare(void);

/* Whether this message's headers and body are looked up; sets message->is_checked. */
void checks_start(struct message *message);

/*
 * Looks a header or body line up; `text` has "\n" between its lines and none at its end.
 * CHECK_KEEP: it goes on as it is; CHECK_DROP: it is left out; CHECK_REPLACE: *ret_text stands in
 * its place; CHECK_PREPEND: *ret_text goes in front of it. Texts are borrowed until the next check.
 */
enum check_class { CHECK_HEADER, CHECK_MIME_HEADER, CHECK_NESTED_HEADER, CHECK_BODY };
enum check_verdict { CHECK_KEEP, CHECK_DROP, CHECK_REPLACE, CHECK_PREPEND };
enum check_verdict checks_ask(struct message *message, enum check_class class, struct span text,
			      struct span *ret_text);

/* "header Subject: x from client[addr]; from=<> ..." as all refusals of content are logged. */
void checks_log(const struct message *message, const char *action, const char *what,
		struct span content, struct span text);

/* ---- body.c ---- */

/* Makes message->mime when something is to look into the body. */
void body_start(struct message *message);

/* At the end: refuses what breaks MIME's rules, as far as main.cf says so. */
void body_end(struct message *message);

/* ---- authors.c ---- */

void authors_init(struct authors *authors);
void authors_reset(struct authors *authors);

/* Reads From: and Sender: as the client wrote them, when the client will be asked. */
void authors_note(struct message *message, const struct header *header);

/* cleanup has added a From: header with the envelope sender. */
void authors_note_added(struct message *message);

/* What the head got behind `before` is a Sender: header: it is held back until the answer. */
void authors_hold(struct message *message, size_t before);

/*
 * Behind the content: with SUBMIT_ASK_AUTHORS asks the client whether the message may be from whom
 * it says, and completes the head as it answers. False when the client has gone: nothing was submitted.
 */
MUST_USE bool authors_settle(struct message *message, struct ipc_channel *channel);

/* ---- commit.c ---- */

void commit_prepare(void); /* once, before there are workers: opens the queue directories */
void commit_open(struct message *message);

/* Writes head, envelope and recipients, and makes the file durable. */
void commit_finish(struct message *message);

/* ---- notify.c ---- */

/* Tells qmgr of a new file in incoming. Never fails: qmgr finds it by itself as well. */
void notify_qmgr(const char *queue_id);

#endif
