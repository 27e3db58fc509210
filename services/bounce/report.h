/* SPDX-License-Identifier: MIT */
#ifndef BOUNCE_REPORT_H
#define BOUNCE_REPORT_H

/* A notification: multipart/report (RFC 3462) with message/delivery-status (RFC 3464). */

#include "services/bounce/words.h"
#include "ipc/bounce.h"
#include "queue/file.h"

struct report_rcpt {
	struct msg_outcome outcome;
	bool is_sender_told; /* NOTIFY= wants it */
};

struct report {
	const char *id;
	enum bounce_kind kind;
	const struct words *words;
	const struct queue_file *file;
	struct msg_envelope envelope;
	struct report_rcpt *rcpts;
	size_t rcpt_count;
	bool is_utf8;       /* RFC 6533: message/global and its kin */
	bool needs_tls;     /* REQUIRETLS */
	bool is_tls_optional; /* "TLS-Required: no" */
	bool has_original;  /* with the body, not with the header alone */
	bool is_double;     /* a notification that bounced: the postmaster alone gets it, whole */
	const char *sender; /* of the message, MAILER-DAEMON@... for the null sender */
	char boundary[160];
};

/* Who gets it. */
struct report_reader {
	struct span address;
	bool is_postmaster; /* a copy: no words for the sender, all recipients */
	const struct report_rcpt *only; /* VERP: a notification for this recipient alone; or NULL */
};

/* Where the bytes go, CRLF line ends and all. */
typedef void report_put_fn(void *context, struct span bytes);

void report_header(const struct report *report, const struct report_reader *reader,
		   report_put_fn *put, void *context);

/* BODY_END; or what is the matter with the body of the original: damaged, or cannot be read now. */
MUST_USE enum body_status report_body(const struct report *report, const struct report_reader *reader,
			  report_put_fn *put, void *context);

/* Whether this recipient is in it. */
bool report_has(const struct report_reader *reader, const struct report_rcpt *rcpt);

#endif
