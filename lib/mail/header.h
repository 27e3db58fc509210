/* SPDX-License-Identifier: MIT */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

/* Message headers: where one begins and ends, and what is known about its name. */

#include "base/span.h"

struct buf;

enum header_id {
	HEADER_OTHER, /* nothing is known about it */
	HEADER_APPARENTLY_TO,
	HEADER_ARC_AUTHENTICATION_RESULTS,
	HEADER_AUTHENTICATION_RESULTS,
	HEADER_AUTO_SUBMITTED,
	HEADER_BCC,
	HEADER_CC,
	HEADER_CONTENT_DESCRIPTION,
	HEADER_CONTENT_DISPOSITION,
	HEADER_CONTENT_ID,
	HEADER_CONTENT_LENGTH,
	HEADER_CONTENT_TRANSFER_ENCODING,
	HEADER_CONTENT_TYPE,
	HEADER_DATE,
	HEADER_DELIVERED_TO,
	HEADER_DISPOSITION_NOTIFICATION_TO,
	HEADER_DKIM_SIGNATURE,
	HEADER_ERRORS_TO,
	HEADER_FROM,
	HEADER_LIST_ID,
	HEADER_LIST_UNSUBSCRIBE,
	HEADER_MAIL_FOLLOWUP_TO,
	HEADER_MESSAGE_ID,
	HEADER_MIME_VERSION,
	HEADER_PRECEDENCE,
	HEADER_RECEIVED,
	HEADER_REFERENCES,
	HEADER_REPLY_TO,
	HEADER_RESENT_BCC,
	HEADER_RESENT_CC,
	HEADER_RESENT_DATE,
	HEADER_RESENT_FROM,
	HEADER_RESENT_MESSAGE_ID,
	HEADER_RESENT_REPLY_TO,
	HEADER_RESENT_SENDER,
	HEADER_RESENT_TO,
	HEADER_RETURN_PATH,
	HEADER_RETURN_RECEIPT_TO,
	HEADER_SENDER,
	HEADER_SUBJECT,
	HEADER_TLS_REQUIRED,
	HEADER_REQUIRE_TLS_ESMTP,
	HEADER_TO,
	HEADER_X_ORIGINAL_TO,
	HEADER_ID_COUNT
};

enum header_flags {
	HEADER_HAS_SENDER = 1 << 0, /* a list of addresses, rewritten as senders are */
	HEADER_HAS_RECIPIENT = 1 << 1, /* rewritten as recipients are */
	HEADER_IS_EXTRACTED = 1 << 2, /* sendmail -t takes recipients from it */
	HEADER_IS_RESENT = 1 << 3, /* Resent- (RFC 5322 3.6.6) */
	HEADER_IS_MIME = 1 << 4, /* Content-, MIME- (RFC 2045) */
	HEADER_IS_ADDRESSEE = 1 << 5, /* with it no undisclosed_recipients_header is added */
};

struct header_info {
	const char *name; /* in its usual spelling */
	enum header_id id;
	unsigned flags;
};

/* What is known about a header name, any case; never NULL. */
const struct header_info *header_find(struct span name);

/*
 * Length of the header name that `line` begins with, or 0 when it begins none:
 *	1*(%d33-57 / %d59-126) *WSP ":"        (RFC 5322 2.2, obsolete form 4.5)
 * Without the blanks, which are dropped when the header is written. *ret_value_at, which may be
 * NULL, gets the offset behind the colon.
 */
size_t header_name_length(struct span line, size_t *ret_value_at);

/* A line that continues the header before: it begins with a blank. */
bool header_is_continuation(struct span line);

/* "From ", ">From ": a mailbox separator in front of the headers, not a header. */
bool header_is_mailbox_line(struct span line);

struct header {
	struct span raw; /* all its lines, with line ends */
	struct span name;
	struct span value; /* behind the colon, folded as it is, without the last line end */
	const struct header_info *info;
};

/*
 * The next header of *rest, which moves behind it. False at the empty line, at the end, and at
 * a line that is none; *rest then begins there.
 */
bool header_next(struct span *rest, struct header *ret_header);

/* Appends the value with folding undone (CR and LF gone) and without blanks at its ends. */
bool header_unfold(struct buf *out, struct span value);

/* How many headers of that name a head has: Received: against hopcount_limit. */
size_t header_count(struct span head, enum header_id id);

/* Whether a Delivered-To: header names `address`, without ASCII case: a delivery loop. */
bool header_has_delivered_to(struct span head, struct span address);

#endif
