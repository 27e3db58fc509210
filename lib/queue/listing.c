/* SPDX-License-Identifier: MIT */
/*
 * Listing the queue; see listing.h. Runs as the queue's owner or root and reads only. Files
 * may come, go and move meanwhile: what cannot be read is left out.
 */

#include "queue/listing.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "mail/addr.h"
#include "queue/maildrop.h"
#include "queue/outcomes.h"
#include "queue/walk.h"

enum { RCPTS_BYTES = 100 * 1024, DEFER_LOG_MAX = 64 * 1024 * 1024 };

struct listing {
	const struct queue_dirs *dirs;
	const struct htab *active;
	struct queue_share share;
	struct htab seen; /* those of incoming: they may be in deferred a moment later */
	queue_list_fn *take;
	void *context;
	struct buf rcpts;
};

static void quote(struct buf *out, struct span address)
{
	if (address.n == 0)
		(void)buf_text(out, "MAILER-DAEMON");
	else
		(void)addr_quote(out, address);
}

/* Offset -> reason, borrowed from `log`. */
static void index_reasons(struct htab *reasons, struct span log)
{
	struct msg_outcome outcome;

	while (queue_outcomes_next(&log, &outcome)) {
		struct span *reason = NEW(struct span);
		char offset[16];

		*reason = outcome.reason;
		(void)snprintf(offset, sizeof(offset), "%" PRIu32, outcome.offset);
		free(htab_put(reasons, span_of(offset), reason));
	}
}

static void add_rcpt(struct listing *l, const struct msg_rcpt *rcpt, const struct htab *reasons)
{
	struct buf address = BUF_INIT(2200);
	struct msg_showq_rcpt shown = { .reason = { NULL, 0 } };
	const struct span *reason;
	char offset[16];

	(void)snprintf(offset, sizeof(offset), "%" PRIu32, rcpt->offset);
	reason = htab_get(reasons, span_of(offset));
	if (reason != NULL)
		shown.reason = *reason;
	quote(&address, rcpt->address);
	shown.address = buf_span(&address);
	(void)!msg_showq_rcpt_encode(&l->rcpts, &shown);
	buf_done(&address);
}

static bool show_rcpts(struct listing *l, const struct queue_file *file,
		       const struct htab *reasons, struct msg_showq_entry *entry)
{
	enum rcpt_status status;
	struct msg_rcpt rcpt;
	size_t at = 0;

	buf_reset(&l->rcpts);
	while (queue_read_rcpt(file, &at, &status, &rcpt)) {
		if (status != RCPT_TODO)
			continue;
		add_rcpt(l, &rcpt, reasons);
		if (l->rcpts.length >= RCPTS_BYTES) {
			entry->rcpts = buf_span(&l->rcpts);
			entry->more = true;
			if (!l->take(l->context, entry))
				return false;
			buf_reset(&l->rcpts);
		}
	}
	entry->rcpts = buf_span(&l->rcpts);
	entry->more = false;
	return l->take(l->context, entry);
}

static bool show_message(struct listing *l, enum queue_dir dir, const char *id)
{
	bool is_active = l->active != NULL && htab_get(l->active, span_of(id)) != NULL;
	struct buf log = BUF_INIT(DEFER_LOG_MAX), sender = BUF_INIT(2200);
	struct htab reasons = { .count = 0 };
	struct msg_envelope envelope;
	struct queue_notes notes;
	struct queue_file file;
	int fd = queue_open_in(l->dirs, dir, id, O_RDONLY);
	bool go_on = true;

	if (fd < 0 || queue_read_open(&file, fd) != QUEUE_GOOD)
		return true;
	if (queue_read_envelope(&file, &envelope) && queue_read_notes(file.fd, &notes)) {
		struct msg_showq_entry entry = {
			.queue_name = span_of(
				queue_dir_name(is_active && dir != QUEUE_HOLD ? QUEUE_ACTIVE : dir)),
			.queue_id = span_of(id),
			.arrival_s = file.header.arrival.us / 1000000,
			.size = queue_message_size(&file.header),
			.is_expired = notes.is_expired,
		};

		quote(&sender, envelope.sender);
		entry.sender = buf_span(&sender);
		if (queue_outcomes_read(l->dirs, QUEUE_DEFER, id, &log))
			index_reasons(&reasons, buf_span(&log));
		go_on = show_rcpts(l, &file, &reasons, &entry);
	}
	htab_done(&reasons, free);
	buf_done(&log);
	buf_done(&sender);
	queue_read_close(&file);
	return go_on;
}

/* What a local user submitted and pickup has not taken; or a queue file of postsuper -r. */
static bool show_maildrop(struct listing *l, enum queue_dir dir, const char *id)
{
	struct buf sender = BUF_INIT(2200), address = BUF_INIT(2200);
	struct msg_showq_entry entry = { .queue_name = span_of(queue_dir_name(dir)),
					 .queue_id = span_of(id) };
	struct maildrop_reader reader;
	enum maildrop_item item;
	struct stat st;
	int fd = queue_open_in(l->dirs, dir, id, O_RDONLY);

	if (fd < 0)
		return true;
	maildrop_read_start(&reader, fd, true);
	buf_reset(&l->rcpts);
	while ((item = maildrop_next(&reader)) == MAILDROP_ENVELOPE || item == MAILDROP_RCPT) {
		struct msg_showq_rcpt shown = { .reason = { NULL, 0 } };

		if (item == MAILDROP_ENVELOPE) {
			quote(&sender, reader.envelope.sender);
			continue;
		}
		buf_reset(&address);
		quote(&address, reader.rcpt.address);
		shown.address = buf_span(&address);
		if (l->rcpts.length < RCPTS_BYTES)
			(void)!msg_showq_rcpt_encode(&l->rcpts, &shown);
	}
	maildrop_read_end(&reader);
	if (item != MAILDROP_DATA || fstat(fd, &st) < 0) {
		(void)close(fd);
		buf_done(&sender);
		buf_done(&address);
		return show_message(l, dir, id);
	}
	(void)close(fd);
	entry.arrival_s = st.st_mtim.tv_sec;
	entry.size = (uint64_t)st.st_size;
	entry.sender = buf_span(&sender);
	entry.rcpts = buf_span(&l->rcpts);

	bool go_on = l->take(l->context, &entry);

	buf_done(&sender);
	buf_done(&address);
	return go_on;
}

static bool show_dir(struct listing *l, enum queue_dir dir,
		     bool (*show)(struct listing *, enum queue_dir, const char *))
{
	struct queue_walk walk = { .stream = NULL };
	char id[QUEUE_ID_MAX];
	bool go_on = true;

	if (!queue_walk_start(&walk, l->dirs, dir))
		return true;
	while (go_on && queue_walk_next(&walk, id)) {
		if (crc32c(0, id, strlen(id)) % l->share.count != l->share.number)
			continue;
		if (dir == QUEUE_INCOMING)
			(void)htab_put(&l->seen, span_of(id), l);
		else if (dir == QUEUE_DEFERRED && htab_get(&l->seen, span_of(id)) != NULL)
			continue;
		go_on = show(l, dir, id);
	}
	queue_walk_end(&walk);
	return go_on;
}

bool queue_list(const struct queue_dirs *dirs, const struct htab *active, struct queue_share share,
		queue_list_fn *take, void *context)
{
	struct listing l = { .dirs = dirs, .active = active, .share = share, .take = take, .context = context,
			     .rcpts = BUF_INIT(IPC_RECORD_MAX) };
	bool go_on = show_dir(&l, QUEUE_MAILDROP, show_maildrop) &&
		     show_dir(&l, QUEUE_INCOMING, show_message) &&
		     show_dir(&l, QUEUE_DEFERRED, show_message) &&
		     show_dir(&l, QUEUE_HOLD, show_message);

	htab_done(&l.seen, NULL);
	buf_done(&l.rcpts);
	return go_on;
}
