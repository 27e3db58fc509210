/* SPDX-License-Identifier: MIT */
#ifndef MAIL_DSN_H
#define MAIL_DSN_H

/*
 * Outcomes of deliveries: enhanced status codes (RFC 3463), what a sender wants to be told (RFC
 * 3461), and the fields of delivery status notifications (RFC 3464).
 */

#include "base/span.h"

struct buf;

enum dsn_action { /* RFC 3464 2.3.3 */
	DSN_DELIVERED,
	DSN_RELAYED,
	DSN_EXPANDED,
	DSN_DELAYED,
	DSN_FAILED,
	/* Address probes (sendmail -bv, verify(8)) make reports with these. */
	DSN_DELIVERABLE,
	DSN_UNDELIVERABLE,
};

enum dsn_notify { /* a mask; the values are those of Postfix's queue files */
	DSN_NOTIFY_NEVER = 1 << 0,
	DSN_NOTIFY_SUCCESS = 1 << 1,
	DSN_NOTIFY_FAILURE = 1 << 2,
	DSN_NOTIFY_DELAY = 1 << 3,
};

enum dsn_ret { DSN_RET_UNSET, DSN_RET_FULL, DSN_RET_HDRS };

enum { DSN_STATUS_SIZE = 12 }; /* "5.123.123" and room */

/* One outcome, passed up unchanged from where it happened. */
struct dsn {
	enum dsn_action action;
	char status[DSN_STATUS_SIZE]; /* "5.1.1" */
	struct span reason; /* one line of text without the status; borrowed */
};

const char *dsn_action_text(enum dsn_action action); /* "failed" */

/*
 * Length of an enhanced status code at the front of `text` ("5.1.1", ends at a blank or the
 * end); 0 when there is none. Class 2, 4 or 5, then twice one to three digits.
 */
size_t dsn_status_length(struct span text);

/*
 * Splits "5.1.1 no such user". Without a code the status is `default_status`; the reason is what
 * follows, with blanks at its front gone, and may be empty.
 */
void dsn_split(struct span text, const char *default_status, char ret_status[DSN_STATUS_SIZE],
	       struct span *ret_reason);

/*
 * As dsn_split for the text of a table, filter or policy answer to SMTP `code` (as in access(5)):
 * a status of another class than the code's is corrected to it; without one it is X.`detail`, as
 * "7.1".
 */
void dsn_split_for_code(struct span text, int code, const char *detail,
			char ret_status[DSN_STATUS_SIZE], struct span *ret_reason);

/* soft_bounce and its like: makes "5.x.x" "4.x.x". */
void dsn_soften(char status[DSN_STATUS_SIZE]);

/*
 * notify = "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" ), any case. False for an unknown word,
 * no word, and NEVER together with others.
 */
MUST_USE bool dsn_notify_parse(struct span text, unsigned *ret_notify);

/* Appends "SUCCESS,FAILURE". */
bool dsn_notify_format(struct buf *out, unsigned notify);

/*
 * Whether `notify` (0: nothing was said, RFC 3461 4.1 leaves failure and delay) asks for a
 * report of `action`.
 */
bool dsn_wants(unsigned notify, enum dsn_action action);

MUST_USE bool dsn_ret_parse(struct span text, enum dsn_ret *ret);

/*
 * ORCPT: "rfc822;user+2Bx@example.com" decoded to "rfc822;user+x@example.com"; the type "utf-8"
 * has an encoding of its own (RFC 6533). False, with `out` as it was, when the type is missing or
 * no atom, the encoding is bad, or there would be a control character.
 */
MUST_USE bool dsn_orcpt_decode(struct buf *out, struct span text);
bool dsn_orcpt_encode(struct buf *out, struct span orcpt);

/* Appends "NAME: TEXT" and a line end; controls in `text`, line ends among them, become "?". */
bool dsn_field(struct buf *out, const char *name, struct span text);

/* Appends "NAME: TYPE; TEXT" likewise: ("Final-Recipient", "rfc822", address). */
bool dsn_typed_field(struct buf *out, const char *name, const char *type, struct span text);

#endif
