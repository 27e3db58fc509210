/* SPDX-License-Identifier: MIT */
#ifndef SENDMAIL_SENDMAIL_H
#define SENDMAIL_SENDMAIL_H

/* What the parts of sendmail share. Every failure ends the program with a status of sysexits.h. */

#include "base/mem.h"
#include "ipc/messages.h"

/* One message and how it is to be submitted. Spans live in `arena`. */
struct submission {
	struct arena arena;
	struct msg_envelope envelope;
	struct msg_rcpt *rcpts;
	size_t rcpt_count;
	uint32_t notify;         /* -N, for all recipients */
	bool takes_recipients;   /* -t */
	bool ends_at_dot;        /* not -i */
	bool is_smtp;            /* lines come dot-stuffed and from SMTP (-bs) */
};

/* Says it and exits. */
NORETURN void fail(int status, const char *format, ...) PRINTF_LIKE(2, 3);

/* ---- input.c ---- */

/* Standard input, read without making it non-blocking: it belongs to the caller's shell as well. */
struct input {
	char *data;
	size_t start, end;
	bool is_at_end;
	bool is_start;          /* the next piece begins a line */
	void (*before_wait)(void); /* before a read that may wait; may be NULL */
};

struct input_line {
	struct span text; /* without line end; borrowed until the next line */
	bool is_first;    /* it begins a line; else it goes on with a long one */
	bool has_end;     /* a line end follows */
	bool is_crlf;     /* which is CR LF; the CR stands behind the text */
};

void input_open(struct input *input);

/* The next line, or piece of a long one; false at the end of input. */
bool input_next(struct input *input, struct input_line *ret);

/* ---- submit.c ---- */

/*
 * Reads the message from `input` up to its end and hands it to postdrop. With takes_recipients
 * the header section is read first, and its recipients are added.
 */
void submit_message(struct submission *submission, struct input *input);

/* The same without content, for sendmail -bv. */
void submit_nothing(struct submission *submission);

void submission_add_rcpt(struct submission *submission, struct span address);

/* ---- recipients.c ---- */

/* Adds each address of a list; what is empty is left out. */
void recipients_add_list(struct submission *submission, struct span list);

/* Adds the recipients that a header section names: To:, Cc:, Bcc:, or their Resent- forms. */
void recipients_add_head(struct submission *submission, struct span head);

/* The one address in `text`, in internal form, copied; a warning when there is more or nothing. */
struct span recipients_sender(struct submission *submission, struct span text);

/* ---- smtp.c ---- */

/* sendmail -bs: an SMTP session on standard input and output. */
NORETURN void smtp_serve(void);

#endif
