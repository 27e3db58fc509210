/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_ENVELOPE_H
#define QUEUE_ENVELOPE_H

/* Numbers in the envelope and recipient records of messages.def. */

enum envelope_flag {
	ENVELOPE_SMTPUTF8 = 1 << 0,      /* MAIL ... SMTPUTF8, or local and detected */
	ENVELOPE_LOCAL_USER = 1 << 1,    /* submitted by a local user: login_uid counts */
	ENVELOPE_VERIFY_ONLY = 1 << 2,   /* sendmail -bv: resolve, deliver nothing, report */
	ENVELOPE_VERBOSE = 1 << 3,       /* sendmail -v: deliver and report */
	ENVELOPE_PROBE = 1 << 4,         /* verify(8): ask the next hop, transfer nothing */
	ENVELOPE_TLS_OPTIONAL = 1 << 5,  /* header "TLS-Required: no" (RFC 8689) */
	ENVELOPE_REQUIRETLS = 1 << 6,    /* MAIL ... REQUIRETLS: it is stronger than the former */
	ENVELOPE_VERP = 1 << 7,          /* verp_delims counts */
	ENVELOPE_HOLD = 1 << 8,          /* goes to the hold queue at once */
	ENVELOPE_DISCARD = 1 << 9,       /* accepted and thrown away */
	ENVELOPE_REQUEUED = 1 << 10,     /* was in the queue before (postsuper -r) */
	ENVELOPE_INTERNAL = 1 << 11,     /* a notification made here */
	ENVELOPE_SHOW_LOGIN = 1 << 12,   /* Received: says who logged in */
};

enum envelope_ret { RET_NONE, RET_FULL, RET_HDRS };

/* What qmgr wants to know of a message before any agent looks into it. */
enum content_class {
	CONTENT_8BIT = 1 << 0,           /* a byte above 0x7f in head or body */
	CONTENT_DOTS = 1 << 1,           /* a body line starts with a dot */
	CONTENT_LONG_LINES = 1 << 2,     /* a body line over 998 bytes */
	CONTENT_NUL = 1 << 3,
	CONTENT_STRAY = 1 << 4,          /* a bare CR or LF (never after cleanup's repair) */
	CONTENT_HEAD_8BIT = 1 << 5,      /* in the head: SMTPUTF8 matters */
};

#endif
