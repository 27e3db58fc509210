/* SPDX-License-Identifier: MIT */
/*
 * The queue file of a message: made when it is opened, durable before the client hears of it.
 * Runs in cleanup's workers, as the owner of the queue. lib/queue/file.h says what stands where.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/utf8.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "queue/dirs.h"

static struct queue_dirs dirs;

void commit_prepare(void)
{
	if (!queue_dirs_open(&dirs, "."))
		fatal("open the queue directories: %s", strerror(errno));
}

void commit_open(struct message *message)
{
	int dir_fd = queue_dir_fd(&dirs, QUEUE_INCOMING, message->id);

	if (!queue_write_open(&message->writer, dir_fd, message->id))
		message_defer(message, "create queue file", errno);
}

/* Mail that is to be held never shows in incoming as a complete file. */
static bool move_to_hold(struct message *message)
{
	if (!queue_move(&dirs, message->id, QUEUE_INCOMING, QUEUE_HOLD)) {
		message_defer(message, "rename to hold", errno);
		return false;
	}
	message->writer.dir_fd = queue_dir_fd(&dirs, QUEUE_HOLD, message->id);
	return true;
}

/* Whether mail of this origin counts as SMTPUTF8 by what is in it (smtputf8_autodetect_classes). */
static bool detects_utf8(const struct message *message)
{
	struct span rest = span_of(conf->smtputf8_autodetect_classes), class;
	const char *client = message->submitter->client;

	if (!conf->smtputf8_enable)
		return false;
	while ((class = span_word(&rest, ", \t\r\n")).n > 0)
		if (span_is(class, "all") || span_is(class, client) ||
		    (span_is(class, "sendmail") && strcmp(client, "pickup") == 0) ||
		    (span_is(class, "forward") && strcmp(client, "local") == 0) ||
		    (span_is(class, "notify") && strcmp(client, "bounce") == 0))
			return true;
	return false;
}

static bool needs_utf8(const struct message *message)
{
	if (message->head.has_8bit && utf8_is_valid(buf_span(&message->head.out)))
		return true;
	if (utf8_has_8bit(message->envelope.sender))
		return true;
	for (size_t i = 0; i < message->rcpt_count; i++)
		if (utf8_has_8bit(message->rcpts[i].address))
			return true;
	return false;
}

static void write_envelope(struct message *message)
{
	struct msg_envelope *envelope = &message->envelope;

	if (message->refusal != NULL) {
		envelope->content_filter = span_of(message->refusal);
		envelope->redirect_to = (struct span){ NULL, 0 };
	}
	if ((envelope->flags & ENVELOPE_SMTPUTF8) == 0 && detects_utf8(message) &&
	    needs_utf8(message))
		envelope->flags |= ENVELOPE_SMTPUTF8;
	queue_write_envelope(&message->writer, envelope);
	for (size_t i = 0; i < message->rcpt_count; i++)
		queue_write_rcpt(&message->writer, &message->rcpts[i]);
}

void commit_finish(struct message *message)
{
	bool is_held = (message->envelope.flags & ENVELOPE_HOLD) != 0 && message->refusal == NULL;
	int error;

	if ((message->envelope.flags & ENVELOPE_DISCARD) != 0) {
		message_fail(message, SUBMIT_DISCARD, "2.0.0", "");
		return;
	}
	queue_write_head(&message->writer, buf_span(&message->head.out));
	write_envelope(message);
	if (is_held && !move_to_hold(message))
		return;
	error = queue_write_commit(&message->writer);
	if (error != 0)
		message_defer(message, "write queue file", error);
	else if (!is_held)
		notify_qmgr(message->id);
}
