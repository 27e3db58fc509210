/* SPDX-License-Identifier: MIT */
/*
 * The end of a message's run: all recipients are settled. In this order, each step only after
 * the one before is known to be done:
 *
 *     failures are returned       bounce_send FAILURE, from bounce/ID
 *     reports are sent            bounce_send TRACE, from trace/ID
 *     what is left to do:         is it too old? bounce_send EXPIRED, from defer/ID
 *                                 is a delay notice due? bounce_send WARNING
 *     the file                    is removed, or waits in deferred for its next try
 *
 * When a notification cannot be made, the message is deferred with its logs, and the step is
 * tried again at the end of the next run.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/bounce.h"
#include "mail/log_address.h"
#include "qmgr/qmgr.h"
#include "queue/envelope.h"

static void step_report(struct message *message);
static void step_rest(struct message *message);
static void step_remove(struct message *message);
static void step_defer(struct message *message);

bool finish_is_simple(const struct message *message)
{
	return message->open_rcpts == 0 && !message->has_more && message->busy == 0 &&
	       message->appends == 0 && !message->must_defer && !message->is_leaving &&
	       !message->has_log[QUEUE_BOUNCE] && !message->has_log[QUEUE_TRACE];
}

static void ask_bounce(struct message *message, const char *service_name, enum bounce_kind kind,
		       ask_done_fn *on_done)
{
	struct msg_bounce_send request = { .kind = kind, .queue_id = span_of(message->id),
					   .queue_name = span_of(queue_dir_name(message->dir)) };

	ask_send(&message->finish_ask, service_name, msg_bounce_send_desc(), &request, on_done);
}

static bool is_done(struct message *message, struct ipc_channel *channel)
{
	struct msg_status status;

	if (channel != NULL && IPC_GET(channel, status, &status) && status.code == 0)
		return true;
	log_warn("%s: the bounce service could not make a notification", message->id);
	return false;
}

static void on_failures_returned(struct ask *ask, struct ipc_channel *channel)
{
	struct message *message = CONTAINER_OF(ask, struct message, finish_ask);

	if (!is_done(message, channel))
		message->must_defer = true;
	step_report(message);
}

static void on_reported(struct ask *ask, struct ipc_channel *channel)
{
	struct message *message = CONTAINER_OF(ask, struct message, finish_ask);

	if (!is_done(message, channel))
		message->must_defer = true;
	step_rest(message);
}

static void step_report(struct message *message)
{
	if (message->has_log[QUEUE_TRACE])
		ask_bounce(message, conf->trace_service_name, BOUNCE_TRACE, on_reported);
	else
		step_rest(message);
}

/* ---- what could not be delivered now ---- */

static int64_t age_s(const struct message *message)
{
	return (clock_wall_now().us - message->header.arrival.us) / 1000000;
}

static bool is_too_old(const struct message *message)
{
	/* A probe is tried once: the answer is wanted now. */
	if ((message->envelope.flags & (ENVELOPE_VERIFY_ONLY | ENVELOPE_PROBE)) != 0)
		return false;
	/* A lifetime of 0 is one try. */
	return age_s(message) >= (message->envelope.sender.n == 0 ? conf->bounce_queue_lifetime
								  : conf->maximal_queue_lifetime);
}

static void on_expired(struct ask *ask, struct ipc_channel *channel)
{
	struct message *message = CONTAINER_OF(ask, struct message, finish_ask);

	if (is_done(message, channel)) {
		message->has_log[QUEUE_DEFER] = false;
		step_remove(message);
	} else {
		step_defer(message);
	}
}

static void on_warned(struct ask *ask, struct ipc_channel *channel)
{
	struct message *message = CONTAINER_OF(ask, struct message, finish_ask);

	if (is_done(message, channel))
		message->notes.warning_sent = true;
	step_defer(message);
}

static void step_rest(struct message *message)
{
	bool is_forced = message->notes.is_expired;

	if (!message->must_defer) {
		step_remove(message);
	} else if (message->mark_count > 0) {
		/* By the file there are recipients left who have the message: nobody may hear that they
		 * have not. */
		step_defer(message);
	} else if (is_forced || is_too_old(message)) {
		log_info("%s: from=<%s>, status=%s, returned to sender", message->id,
			 log_address(message->envelope.sender),
			 is_forced ? "force-expired" : "expired");
		ask_bounce(message, conf->bounce_service_name, BOUNCE_EXPIRED, on_expired);
	} else if (conf->delay_warning_time > 0 && !message->notes.warning_sent &&
		   message->envelope.sender.n > 0 && message->has_log[QUEUE_DEFER] &&
		   age_s(message) >= conf->delay_warning_time) {
		ask_bounce(message, conf->bounce_service_name, BOUNCE_WARNING, on_warned);
	} else {
		step_defer(message);
	}
}

/* ---- the file ---- */

static void step_remove(struct message *message)
{
	if (message->has_log[QUEUE_DEFER])
		(void)queue_remove(&queue_dirs, QUEUE_DEFER, message->id);
	if (unlinkat(queue_dir_fd(&queue_dirs, message->dir, message->id), message->id, 0) < 0) {
		/* Marks keep it from being delivered again. */
		log_warn("%s: remove from %s: %s", message->id, queue_dir_name(message->dir),
			 strerror(errno));
		message_write_marks(message);
	} else {
		log_info("%s: removed", message->id);
	}
	message_free(message);
}

/* The longer it has been there, the later the next try: it doubles the age, within bounds. */
static int64_t backoff_s(const struct message *message)
{
	int64_t age = age_s(message);

	if (age < conf->minimal_backoff_time)
		return conf->minimal_backoff_time;
	return age < conf->maximal_backoff_time ? age : conf->maximal_backoff_time;
}

static bool write_next_try(struct message *message)
{
	int fd = queue_open_in(&queue_dirs, message->dir, message->id, O_RDWR);
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = 0 } };
	struct queue_notes notes;
	bool is_good;

	if (fd < 0)
		return false;
	/* postsuper may have set what it wants of the message meanwhile. */
	if (queue_read_notes(fd, &notes)) {
		message->notes.is_expired |= notes.is_expired;
		message->notes.is_silent |= notes.is_silent;
	}
	message->notes.attempts++;
	times[1].tv_sec = clock_wall_now().us / 1000000 + backoff_s(message);
	is_good = queue_write_notes(fd, &message->notes) && futimens(fd, times) == 0;

	int saved = errno;

	(void)close(fd);
	errno = saved;
	return is_good;
}

static void step_defer(struct message *message)
{
	message_write_marks(message);
	if (!write_next_try(message) && errno != ENOENT)
		log_warn("%s: set the time of the next try: %s", message->id, strerror(errno));
	if (message->dir != QUEUE_DEFERRED &&
	    !queue_move(&queue_dirs, message->id, message->dir, QUEUE_DEFERRED) &&
	    errno != ENOENT)
		log_warn("%s: move to deferred: %s", message->id, strerror(errno));
	message_free(message);
}

void finish_message(struct message *message)
{
	bool is_simple = finish_is_simple(message);

	message->state = MESSAGE_FINISHING;
	if (is_simple) {
		step_remove(message);
		return;
	}
	message_write_marks(message);
	if (message->has_log[QUEUE_BOUNCE])
		ask_bounce(message, conf->bounce_service_name, BOUNCE_FAILURE,
			   on_failures_returned);
	else
		step_report(message);
}
