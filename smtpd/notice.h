/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_NOTICE_H
#define SMTPD_NOTICE_H

/*
 * notify_classes: the postmaster gets the transcript of a session that went wrong. What went
 * wrong is collected in session->troubles while the session runs.
 */

#include "base/span.h"

struct session;

/* The classes of postconf(5) notify_classes that can come up here. */
enum notice_class {
	NOTICE_POLICY = 1 << 0,   /* a restriction refused */
	NOTICE_PROTOCOL = 1 << 1, /* the client does not speak SMTP well */
	NOTICE_DATA = 1 << 2,     /* a table could not be asked */
	NOTICE_RESOURCE = 1 << 3, /* no space, no cleanup service */
	NOTICE_SOFTWARE = 1 << 4, /* the configuration makes no sense */
};

/* Reads notify_classes. */
void notice_open(void);

/* A new session: nothing was said yet. */
void notice_begin(struct session *s);

/* One line of the dialogue, "In" or "Out"; no line end. */
void notice_line(struct session *s, const char *direction, struct span line);

/*
 * EHLO, RSET, the end of a message: what was said so far is told if there was trouble, and
 * forgotten, when it is more than smtpd_history_flush_threshold lines.
 */
void notice_flush(struct session *s);

/* The session is over: mails the transcript if it saw trouble of a class that is told. */
void notice_end(struct session *s);

#endif
