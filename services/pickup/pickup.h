/* SPDX-License-Identifier: MIT */
#ifndef PICKUP_PICKUP_H
#define PICKUP_PICKUP_H

/* What the parts of pickup share: handing one file of maildrop to cleanup. */

#include <sys/types.h>

#include "ipc/submit.h"
#include "mail/dsn.h"

enum pickup_result {
	PICKUP_DONE,    /* accepted, or thrown away as asked: the file goes */
	PICKUP_LATER,   /* it cannot be read or taken now */
	PICKUP_STOP,    /* nor can any other: cleanup cannot be reached */
	PICKUP_DAMAGED, /* no file of ours, cut off, or changed */
	PICKUP_REFUSED, /* cleanup will never take it */
};

/* A message on its way to cleanup. */
struct handover {
	const char *name; /* of the file */
	char queue_id[32];
	struct buf rcpts; /* encoded, not yet sent */
	bool is_lost;     /* the connection broke */
};

/* ---- submit.c ---- */

/* Makes sure of a connection and a queue id; false when cleanup cannot be reached. */
MUST_USE bool handover_start(struct handover *handover, const char *name);
void handover_open(struct handover *handover, const struct msg_envelope *envelope,
		   unsigned options);
void handover_rcpt(struct handover *handover, const struct msg_rcpt *rcpt);
void handover_data(struct handover *handover, struct span bytes, bool is_last);

/* What cleanup said, after the last data. */
MUST_USE enum pickup_result handover_finish(struct handover *handover);

/* Gives up before the last data: nothing was submitted. Returns `result`. */
enum pickup_result handover_abandon(struct handover *handover, enum pickup_result result);

/* ---- the two kinds of files ---- */

/* A file of postdrop; `owner` submitted it. */
MUST_USE enum pickup_result take_submission(int fd, const char *name, uid_t owner);

/* A queue file that postsuper -r moved here. */
MUST_USE enum pickup_result take_requeued(int fd, const char *name, uid_t owner);

#endif
