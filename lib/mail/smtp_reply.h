/* SPDX-License-Identifier: MIT */
#ifndef MAIL_SMTP_REPLY_H
#define MAIL_SMTP_REPLY_H

/* Replies of SMTP and LMTP servers, line by line (RFC 5321 4.2, enhanced codes RFC 2034). */

#include "base/buf.h"
#include "mail/dsn.h"

enum { SMTP_REPLY_LINES_MAX = 100, SMTP_REPLY_LINE_MAX = 2048 };

struct smtp_reply {
	int code; /* 200 to 599, of the last line; 0 before it */
	char status[DSN_STATUS_SIZE]; /* of the last line, else "X.0.0"; empty for a 3xx code */
	struct buf text; /* all lines with their codes, one blank between; controls are "?" */
	struct span line_text; /* what the newest line has behind its code; borrowed from it */
	unsigned lines;
};

enum smtp_reply_step {
	SMTP_REPLY_MORE, /* a line "250-..." */
	SMTP_REPLY_DONE, /* a line "250 ..." or "250" */
	SMTP_REPLY_BAD, /* no reply line, or too many, or too long: the peer does not speak SMTP */
};

void smtp_reply_init(struct smtp_reply *reply);
void smtp_reply_done(struct smtp_reply *reply);

/* Makes it ready for the next reply; keeps the memory. */
void smtp_reply_reset(struct smtp_reply *reply);

/* Takes one line without its line end. */
MUST_USE enum smtp_reply_step smtp_reply_line(struct smtp_reply *reply, struct span line);

#endif
