/* SPDX-License-Identifier: MIT */
#ifndef BOUNCE_NOTICE_H
#define BOUNCE_NOTICE_H

/* Notifications about a message, made from its queue file and a log of outcomes. */

#include "ipc/bounce.h"
#include "queue/dirs.h"

/*
 * Makes and submits what is due: to the sender, to the postmaster (notify_classes), or to nobody.
 * True when all of it is durable in the queue and the log is gone. A message that is not there
 * any more needs none.
 */
MUST_USE bool notice_send(const struct queue_dirs *dirs, enum bounce_kind kind, const char *id);

#endif
