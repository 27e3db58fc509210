/* SPDX-License-Identifier: MIT */
/*
 * The two kinds of files in maildrop, read strictly and handed on. What a submission says of who
 * sent it does not count: the owner of the file does.
 */

#include <errno.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/log_address.h"
#include "queue/envelope.h"
#include "queue/file.h"
#include "queue/maildrop.h"
#include "services/pickup/pickup.h"

enum { BODY_PIECE_BYTES = 60 * 1024 };

/* What a local user may ask for. */
enum {
	USER_FLAGS = ENVELOPE_SMTPUTF8 | ENVELOPE_REQUIRETLS | ENVELOPE_VERIFY_ONLY |
		     ENVELOPE_VERBOSE | ENVELOPE_VERP,
};

/* ---- from postdrop ---- */

static void open_submission(struct handover *handover, const struct msg_envelope *said, uid_t owner)
{
	struct msg_envelope envelope = {
		.sender = said->sender,
		.rewrite_context = SPAN("local"),
		.flags = (said->flags & USER_FLAGS) | ENVELOPE_LOCAL_USER,
		.ret = said->ret,
		.envid = said->envid,
		.body_type = said->body_type,
		.content_filter = span_of(conf->content_filter),
		.verp_delims = said->verp_delims,
		.login_uid = (uint32_t)owner,
		.login_name = said->login_name,
		.full_name = said->full_name,
	};

	log_info("%s: uid=%lu from=<%s>", handover->queue_id, (unsigned long)owner,
		 log_address(said->sender));
	handover_open(handover, &envelope, submit_options());
}

enum pickup_result take_submission(int fd, const char *name, uid_t owner)
{
	struct maildrop_reader reader;
	struct handover handover;
	enum maildrop_item item;
	enum pickup_result result;

	if (!handover_start(&handover, name))
		return PICKUP_STOP;
	maildrop_read_start(&reader, fd, true);
	do {
		item = maildrop_next(&reader);
		if (item == MAILDROP_ENVELOPE)
			open_submission(&handover, &reader.envelope, owner);
		else if (item == MAILDROP_RCPT)
			handover_rcpt(&handover, &reader.rcpt);
		else if (item == MAILDROP_DATA)
			/* Not the last: only behind it is the file known to be whole. */
			handover_data(&handover, reader.data.bytes, false);
	} while (item <= MAILDROP_DATA && !handover.is_lost);
	if (item == MAILDROP_END) {
		handover_data(&handover, SPAN(""), true);
		result = handover_finish(&handover);
	} else {
		result = handover_abandon(&handover,
					  item == MAILDROP_DAMAGED ? PICKUP_DAMAGED : PICKUP_LATER);
	}
	maildrop_read_end(&reader);
	return result;
}

/* ---- from postsuper -r ---- */

static bool open_requeued(struct handover *handover, const struct queue_file *file, uid_t owner)
{
	struct msg_envelope envelope;

	if (!queue_read_envelope(file, &envelope))
		return false;
	envelope.flags &= USER_FLAGS | ENVELOPE_INTERNAL;
	envelope.flags |= ENVELOPE_REQUEUED | ENVELOPE_LOCAL_USER;
	envelope.content_filter = span_of(conf->content_filter);
	envelope.protocol = (struct span){ NULL, 0 };
	envelope.login_uid = (uint32_t)owner;
	log_info("%s: uid=%lu from=<%s> orig_id=%s", handover->queue_id, (unsigned long)owner,
		 log_address(envelope.sender), handover->name);
	handover_open(handover, &envelope, submit_options() | SUBMIT_NO_BCC | SUBMIT_NO_MILTERS);
	return true;
}

static void send_rcpts(struct handover *handover, const struct queue_file *file)
{
	enum rcpt_status status;
	struct msg_rcpt rcpt;
	size_t at = 0;

	while (queue_read_rcpt(file, &at, &status, &rcpt))
		if (status != RCPT_DONE)
			handover_rcpt(handover, &rcpt);
}

static void send_bytes(struct handover *handover, struct span bytes)
{
	while (bytes.n > 0) {
		handover_data(handover, span_first(bytes, BODY_PIECE_BYTES), false);
		bytes = span_from(bytes, BODY_PIECE_BYTES);
	}
}

/* False when what was read is damaged, or cannot be read now. */
static enum body_status send_content(struct handover *handover, const struct queue_file *file)
{
	struct buf head = BUF_INIT(BUF_LIMIT_DEFAULT);
	struct queue_body body;
	enum body_status status;
	struct span block;

	if (!queue_read_head(file->fd, &file->header, &head)) {
		status = errno == EBADMSG ? BODY_DAMAGED : BODY_IO_ERROR;
	} else {
		(void)buf_text(&head, "\r\n");
		send_bytes(handover, buf_span(&head));
		queue_body_start(&body, file->fd, &file->header);
		while ((status = queue_body_next(&body, &block)) == BODY_BLOCK)
			send_bytes(handover, block);
		queue_body_done(&body);
	}
	buf_done(&head);
	return status;
}

enum pickup_result take_requeued(int fd, const char *name, uid_t owner)
{
	struct queue_file file;
	struct handover handover;
	enum body_status status = BODY_DAMAGED;
	enum pickup_result result;
	enum queue_check check;

	if (!handover_start(&handover, name))
		return PICKUP_STOP;
	check = queue_read_open(&file, fd);
	if (check != QUEUE_GOOD)
		return handover_abandon(&handover,
					check == QUEUE_IO_ERROR ? PICKUP_LATER : PICKUP_DAMAGED);
	if (open_requeued(&handover, &file, owner)) {
		send_rcpts(&handover, &file);
		status = send_content(&handover, &file);
	}
	if (status == BODY_END) {
		handover_data(&handover, SPAN(""), true);
		result = handover_finish(&handover);
	} else {
		result = handover_abandon(&handover,
					  status == BODY_DAMAGED ? PICKUP_DAMAGED : PICKUP_LATER);
	}
	queue_read_close(&file);
	return result;
}
