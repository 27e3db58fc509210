/* SPDX-License-Identifier: MIT */
/*
 * Messages in memory: making one active, reading its recipients in portions, marking what is
 * done. The queue file is trusted after its checksums; a damaged one goes to corrupt/.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/log_address.h"
#include "qmgr/qmgr.h"
#include "queue/envelope.h"

enum {
	LEFTOVER_AGE_S = 10, /* an unfinished file that nobody has locked is junk after that */
	REFILL_LEAST_MS = 1000,
	KEPT_FDS_MAX = 256,   /* descriptors kept open from here to the first delivery */
};

struct htab messages;
size_t rcpts_in_memory;
size_t probes_in_memory;

static size_t kept_fds;

bool messages_are_full(void)
{
	return messages.count >= (size_t)conf->qmgr_message_active_limit;
}

/* ---- files that are no good ---- */

static void remove_leftover(const char *id, enum queue_dir dir)
{
	struct stat st;

	if (!queue_stat(&queue_dirs, dir, id, &st) ||
	    clock_wall_now().us / 1000000 - st.st_mtim.tv_sec < LEFTOVER_AGE_S)
		return;
	log_warn("%s: removed: unfinished file of a process that has gone", id);
	(void)queue_remove(&queue_dirs, dir, id);
}

static void save_corrupt(const char *id, enum queue_dir dir)
{
	log_warn("saving corrupt file \"%s\" from queue \"%s\" to queue \"corrupt\"", id,
		 queue_dir_name(dir));
	if (!queue_move(&queue_dirs, id, dir, QUEUE_CORRUPT))
		log_warn("%s: cannot move to corrupt: %s", id, strerror(errno));
}

/*
 * Opens, locks and reads a file. The exclusive lock fails while its writer or an agent of an
 * earlier qmgr has the file; once it is ours a shared one is enough, which agents get as well.
 */
static enum activate open_file(const char *id, enum queue_dir dir, struct queue_file *file)
{
	int fd = queue_open_in(&queue_dirs, dir, id, O_RDONLY);

	if (fd < 0) {
		if (errno != ENOENT)
			log_warn("open %s %s: %s", queue_dir_name(dir), id, strerror(errno));
		return errno == ENOENT ? ACTIVATE_GONE : ACTIVATE_BUSY;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		(void)close(fd);
		log_debug("%s: skipped, still being delivered", id);
		return ACTIVATE_BUSY;
	}
	switch (queue_read_open(file, fd)) {
	case QUEUE_GOOD:
		break;
	case QUEUE_UNFINISHED:
		/* In incoming it is a writer's leftover; elsewhere it once was whole. */
		if (dir == QUEUE_INCOMING)
			remove_leftover(id, dir);
		else
			save_corrupt(id, dir);
		return ACTIVATE_GONE;
	case QUEUE_DAMAGED:
		save_corrupt(id, dir);
		return ACTIVATE_GONE;
	case QUEUE_IO_ERROR:
		log_warn("read %s %s: %s", queue_dir_name(dir), id, strerror(errno));
		return ACTIVATE_BUSY;
	}
	(void)flock(file->fd, LOCK_SH | LOCK_NB);
	return ACTIVATE_OK;
}

/* ---- recipients ---- */

/*
 * How many are in memory. A message begins with what qmgr_message_recipient_limit has free, and
 * with qmgr_message_recipient_minimum in any case; it gets this much again when all that it had
 * are settled. Until then it goes on with what its transports have free: T_recipient_limit, or,
 * when all that is left of it fits in there, T_extra_recipient_limit beside that; only a message
 * that is in memory as a whole can go ahead of another one.
 *
 * Each time the file is opened and its envelope read anew. So not less is read than
 * T_recipient_refill_limit, nor than half of the transport's share, unless
 * T_recipient_refill_delay has passed.
 */

static size_t free_of(size_t limit, size_t used)
{
	return used < limit ? limit - used : 0;
}

static size_t first_size(void)
{
	size_t least = (size_t)conf->qmgr_message_recipient_minimum;
	size_t room = free_of((size_t)conf->qmgr_message_recipient_limit, rcpts_in_memory);

	return room > least ? room : (least > 0 ? least : 1);
}

/* What the message may read by the share of one of its transports; 0: nothing now. */
static size_t share_of(const struct message *message, const struct transport *transport)
{
	size_t limit = (size_t)transport->pool_limit, least = (size_t)transport->refill_limit;
	size_t room = free_of(limit, transport->rcpts);
	size_t extra = free_of(limit + (size_t)transport->extra_limit, transport->rcpts);
	int64_t delay_ms = (int64_t)transport->refill_delay * 1000;

	if (message->unread > 0 && message->unread <= extra)
		return message->unread;
	if (least < limit / 2)
		least = limit / 2;
	if (room >= least || clock_mono_now().us >= clock_add_ms(message->read_at, delay_ms).us)
		return room;
	return 0;
}

/* How many recipients may be loaded now. */
static size_t portion_size(const struct message *message)
{
	size_t size = 0;

	if (message->open_rcpts == 0)
		size = first_size();
	LIST_FOR(item, &message->jobs) {
		size_t share = share_of(
			message, CONTAINER_OF(item, struct job, message_link)->transport);

		if (share > size)
			size = share;
	}
	return size;
}

static void on_refill_time(struct event_timer *timer)
{
	message_progress(CONTAINER_OF(timer, struct message, refill_timer));
}

/* Looks again when the first of its transports has waited for long enough. */
static void wait_for_refill(struct message *message)
{
	seconds delay = 0;

	LIST_FOR(item, &message->jobs) {
		const struct job *job = CONTAINER_OF(item, struct job, message_link);

		if (delay == 0 || job->transport->refill_delay < delay)
			delay = job->transport->refill_delay;
	}
	if (!event_is_set(&message->refill_timer))
		event_at(&message->refill_timer,
			 clock_in_ms(delay > 0 ? (int64_t)delay * 1000 : REFILL_LEAST_MS),
			 on_refill_time);
}

static void add_rcpt(struct portion *portion, const struct msg_rcpt *from, size_t *room)
{
	struct rcpt *rcpt;

	if (portion->count == *room) {
		*room = *room > 0 ? *room * 2 : 1;
		portion->rcpts = mem_resize(portion->rcpts, *room * sizeof(struct rcpt));
	}
	rcpt = &portion->rcpts[portion->count++];
	*rcpt = (struct rcpt){ .offset = from->offset, .notify = from->notify };
	rcpt->address = arena_span(&portion->arena, from->address);
	rcpt->orig_address = arena_span(&portion->arena, from->orig_address);
	rcpt->orcpt = arena_span(&portion->arena, from->orcpt);
}

/* The next recipients of an open file; none may be left. */
static void load_portion(struct message *message, const struct queue_file *file, size_t limit)
{
	struct portion *portion = NEW(struct portion);
	size_t room = 0;
	enum rcpt_status status;
	struct msg_rcpt rcpt;

	message->has_more = false;
	message->read_at = clock_mono_now();
	while (queue_read_rcpt(file, &message->next_at, &status, &rcpt)) {
		if (status == RCPT_TODO)
			add_rcpt(portion, &rcpt, &room);
		if (message->unread > 0)
			message->unread--;
		if (portion->count == limit) {
			message->has_more = message->next_at < file->envelope.length;
			break;
		}
	}
	if (portion->count == 0) {
		free(portion);
		return;
	}
	portion->message = message;
	portion->open = portion->count;
	message->open_rcpts += portion->count;
	rcpts_in_memory += portion->count;
	list_append(&message->portions, &portion->link);
}

void rcpt_count_in(struct rcpt *rcpt, struct transport *transport)
{
	if (rcpt->counted_in != NULL)
		rcpt->counted_in->rcpts--;
	if (transport != NULL)
		transport->rcpts++;
	rcpt->counted_in = transport;
}

static void portion_free(struct portion *portion)
{
	for (size_t i = 0; i < portion->count; i++)
		rcpt_count_in(&portion->rcpts[i], NULL);
	portion->message->open_rcpts -= portion->open;
	rcpts_in_memory -= portion->count;
	list_remove(&portion->link);
	arena_done(&portion->arena);
	free(portion->rcpts);
	free(portion);
}

/*
 * Whether there are more recipients to deliver. The file was read before, so what goes wrong
 * now is a local fault: the rest is deferred.
 */
static bool load_next(struct message *message, size_t limit)
{
	struct queue_file file;
	int fd = queue_open_in(&queue_dirs, message->dir, message->id, O_RDONLY);

	message->has_more = false;
	if (fd < 0 || queue_read_open(&file, fd) != QUEUE_GOOD) {
		log_warn("%s: cannot read more recipients: %s", message->id, strerror(errno));
		message->must_defer = true;
		return false;
	}

	size_t before = message->open_rcpts;

	load_portion(message, &file, limit);
	queue_read_close(&file);
	return message->open_rcpts > before;
}

void rcpt_settle(struct portion *portion, struct rcpt *rcpt)
{
	if (rcpt->is_settled)
		return;
	rcpt->is_settled = true;
	rcpt_count_in(rcpt, NULL);
	portion->open--;
	portion->message->open_rcpts--;
	if (rcpt->is_deferred)
		portion->message->must_defer = true;
	else if (!rcpt->is_bouncing)
		message_mark(portion->message, rcpt->offset);
}

/* ---- the life of a message ---- */

/*
 * Whether logs of an earlier run are there. A message that is new has none; what the clock says of its age
 * is not enough: it may have been ahead when an earlier qmgr tried the message.
 */
static void look_for_logs(struct message *message, bool is_new)
{
	static const enum queue_dir logs[] = { QUEUE_BOUNCE, QUEUE_DEFER, QUEUE_TRACE };
	static struct clock_wall start;

	if (start.us == 0)
		start = clock_wall_now();
	if (is_new && message->header.arrival.us >= start.us)
		return;
	for (size_t i = 0; i < ARRAY_LEN(logs); i++)
		message->has_log[logs[i]] =
			faccessat(queue_dirs.fds[logs[i]], message->id, F_OK, 0) == 0;
	/* The reasons of the last try make way for those of this one. */
	if (message->has_log[QUEUE_DEFER] && !message->notes.is_expired) {
		(void)queue_remove(&queue_dirs, QUEUE_DEFER, message->id);
		message->has_log[QUEUE_DEFER] = false;
	}
}

static bool read_envelope(struct message *message, const struct queue_file *file)
{
	struct span section = buf_span(&file->envelope), rest = section;

	if (!msg_envelope_decode(&rest, &message->envelope))
		return false;
	buf_init(&message->envelope_record, IPC_RECORD_MAX);
	(void)buf_add(&message->envelope_record, span_first(section, section.n - rest.n));
	rest = buf_span(&message->envelope_record);
	return msg_envelope_decode(&rest, &message->envelope);
}

static struct message *message_new(const char *id, enum queue_dir dir)
{
	struct message *message = NEW(struct message);

	(void)snprintf(message->id, sizeof(message->id), "%s", id);
	message->dir = dir;
	message->fd = -1;
	message->activated = clock_wall_now();
	list_init(&message->portions);
	list_init(&message->jobs);
	list_init(&message->resolve_link);
	lookup_init(&message->lookup, true);
	(void)htab_put(&messages, span_of(id), message);
	return message;
}

void message_free(struct message *message)
{
	schedule_drop(message);
	while (!list_is_empty(&message->portions))
		portion_free(CONTAINER_OF(message->portions.next, struct portion, link));
	if (message->fd >= 0) {
		(void)close(message->fd);
		kept_fds--;
	}
	if (message->is_counted_probe)
		probes_in_memory--;
	list_remove(&message->resolve_link);
	event_cancel(&message->refill_timer);
	lookup_done(&message->lookup);
	buf_done(&message->envelope_record);
	free(message->marks);
	(void)htab_remove(&messages, span_of(message->id));
	commands_on_left(message->id);
	free(message);
	scan_resume();
}

static void keep_fd(struct message *message, struct queue_file *file)
{
	if (kept_fds < KEPT_FDS_MAX) {
		message->fd = file->fd;
		kept_fds++;
		file->fd = -1;
	}
	queue_read_close(file);
}

int message_take_fd(struct message *message)
{
	int fd = message->fd;

	if (fd >= 0)
		kept_fds--;
	message->fd = -1;
	return fd;
}

enum activate message_activate(const char *id, enum queue_dir dir, bool is_new)
{
	struct message *message;
	struct queue_file file;
	enum activate result;

	if (htab_get(&messages, span_of(id)) != NULL || commands_has_taken(id))
		return ACTIVATE_OK;
	if (messages_are_full())
		return ACTIVATE_FULL;
	result = open_file(id, dir, &file);
	if (result != ACTIVATE_OK)
		return result;
	message = message_new(id, dir);
	message->header = file.header;
	message->unread = file.header.rcpt_count;
	message->size = queue_message_size(&file.header);
	if (!queue_read_notes(file.fd, &message->notes) && errno != EBADMSG) {
		log_warn("read %s %s: %s", queue_dir_name(dir), id, strerror(errno));
		queue_read_close(&file);
		message_free(message);
		return ACTIVATE_BUSY;
	}
	if (!read_envelope(message, &file)) {
		queue_read_close(&file);
		save_corrupt(id, dir);
		message_free(message);
		return ACTIVATE_GONE;
	}
	look_for_logs(message, is_new);
	message->is_counted_probe = probe_is(message);
	probes_in_memory += message->is_counted_probe;
	log_info("%s: from=<%s>, size=%llu, nrcpt=%u (queue active)", id,
		 log_address(message->envelope.sender), (unsigned long long)message->size,
		 file.header.rcpt_count);
	/* What is to be returned or thrown away is not tried any more. */
	if (message->notes.is_expired)
		message->must_defer = true;
	else if ((message->envelope.flags & ENVELOPE_DISCARD) == 0)
		load_portion(message, &file, first_size());
	keep_fd(message, &file);
	if (message->open_rcpts > 0)
		resolve_start(message);
	else
		message_progress(message);
	return ACTIVATE_OK;
}

static void free_done_portions(struct message *message)
{
	LIST_FOR_SAFE(item, &message->portions) {
		struct portion *portion = CONTAINER_OF(item, struct portion, link);

		if (portion->open == 0)
			portion_free(portion);
	}
}

/* postsuper waits for it: it is forgotten as soon as nobody works on it. */
static void leave(struct message *message)
{
	if (message->busy > 0 || message->appends > 0 || message->is_asking_table)
		return;
	message_write_marks(message);
	/* When nothing is left to do it ends as usual. */
	if (message->open_rcpts == 0 && !message->has_more && !message->must_defer) {
		finish_message(message);
	} else {
		message_free(message);
		/* Should postsuper have given up meanwhile, it is scheduled again. */
		scan_incoming_later();
	}
}

/* True when more recipients are there: resolving them comes back to message_progress(). */
static bool refill(struct message *message)
{
	size_t size;

	free_done_portions(message);
	size = portion_size(message);
	if (size == 0) {
		wait_for_refill(message);
		return false;
	}
	event_cancel(&message->refill_timer);
	if (!load_next(message, size))
		return false;
	resolve_start(message);
	return true;
}

void message_progress(struct message *message)
{
	if (message->state == MESSAGE_FINISHING)
		return;
	if (message->is_leaving) {
		leave(message);
		return;
	}
	if (message->state == MESSAGE_RESOLVING && message->open_rcpts > 0)
		return;
	if (message->has_more && refill(message))
		return;
	if (message->open_rcpts == 0 && message->busy == 0 && message->appends == 0) {
		free_done_portions(message);
		finish_message(message);
	}
}

/* ---- marks ---- */

void message_mark(struct message *message, uint32_t offset)
{
	if (message->mark_count == message->mark_room) {
		message->mark_room = message->mark_room > 0 ? message->mark_room * 2 : 4;
		message->marks = mem_resize(message->marks,
					    message->mark_room * sizeof(*message->marks));
	}
	message->marks[message->mark_count++] = offset;
}

/* The file may have been moved by postsuper meanwhile. */
static int open_for_marks(struct message *message)
{
	int fd = queue_open_in(&queue_dirs, message->dir, message->id, O_RDWR);
	enum queue_dir dir;

	if (fd < 0 && errno == ENOENT)
		fd = queue_open_message(&queue_dirs, message->id, O_RDWR, &dir);
	return fd;
}

void message_write_marks(struct message *message)
{
	bool is_good;
	int fd;

	if (message->mark_count == 0)
		return;
	fd = open_for_marks(message);
	is_good = fd >= 0;
	for (size_t i = 0; is_good && i < message->mark_count; i++)
		is_good = queue_mark_rcpt(fd, message->marks[i]);
	if (is_good)
		is_good = queue_flush(fd);
	if (!is_good && errno != ENOENT)
		log_warn("%s: cannot mark recipients as done: %s", message->id, strerror(errno));
	if (is_good || errno == ENOENT)
		message->mark_count = 0;
	if (fd >= 0)
		(void)close(fd);
}
