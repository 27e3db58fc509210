/* SPDX-License-Identifier: MIT */
/*
 * Who is told what about a message, and the submission of it. Rules of RFC 5321 6.1 and RFC
 * 3464 that nothing may break: notifications have the null sender; a message with the null
 * sender gets none; a copy for the postmaster that bounces is dropped.
 */

#include "services/bounce/notice.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/htab.h"
#include "base/log.h"
#include "base/mem.h"
#include "services/bounce/report.h"
#include "conf/conf.h"
#include "ipc/submit.h"
#include "mail/addr.h"
#include "mail/dsn.h"
#include "mail/verp.h"
#include "queue/envelope.h"
#include "queue/outcomes.h"

enum { LOG_BYTES_MAX = 256 * 1024 * 1024, PIECE_BYTES = 96 * 1024 };

/* One row a kind of notification. */
static const struct kind_row {
	enum bounce_kind kind;
	enum queue_dir log;
	enum dsn_action wanted; /* what NOTIFY= must ask for */
	enum words_kind words;
	const char *title;      /* in the log */
	const char *class;      /* of notify_classes, for the postmaster's copy; or NULL */
	bool is_log_kept;
} kinds[] = {
	{ BOUNCE_FAILURE, QUEUE_BOUNCE, DSN_FAILED, WORDS_FAILURE, "non-delivery notification",
	  "bounce", false },
	{ BOUNCE_EXPIRED, QUEUE_DEFER, DSN_FAILED, WORDS_FAILURE, "non-delivery notification",
	  "bounce", false },
	{ BOUNCE_WARNING, QUEUE_DEFER, DSN_DELAYED, WORDS_DELAY, "delay notification", "delay",
	  true },
	{ BOUNCE_TRACE, QUEUE_TRACE, DSN_DELIVERED, WORDS_SUCCESS,
	  "delivery status notification", NULL, false },
};

static const struct kind_row *find_kind(enum bounce_kind kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].kind == kind)
			return &kinds[i];
	return NULL;
}

static bool has_class(const char *list, const char *class)
{
	struct span rest = span_of(list), word;

	while ((word = span_word(&rest, ", \t\r\n")).n > 0)
		if (span_is_nocase(word, class))
			return true;
	return false;
}

/* ---- submission ---- */

static struct ipc_channel cleanup = { .fd = -1, .passed_fd = -1 };
static char next_id[32];

struct submission {
	struct buf piece;
	struct clock_mono deadline;
	bool is_broken;
};

static void send_piece(struct submission *s, bool is_last)
{
	if (!s->is_broken && !submit_bytes(&cleanup, buf_span(&s->piece), is_last, s->deadline))
		s->is_broken = true;
	buf_reset(&s->piece);
}

static void put(void *context, struct span bytes)
{
	struct submission *s = context;

	while (bytes.n > 0) {
		struct span part = span_first(bytes, PIECE_BYTES);

		(void)buf_add(&s->piece, part);
		bytes = span_from(bytes, part.n);
		if (s->piece.length >= PIECE_BYTES)
			send_piece(s, false);
	}
}

static bool open_submission(struct submission *s, const struct report *report, struct span sender,
			    struct span rcpt_address)
{
	bool is_filtered = has_class(conf->internal_mail_filter_classes, "bounce");
	struct msg_envelope envelope = {
		.sender = sender,
		.rewrite_context = SPAN("local"),
		.flags = ENVELOPE_INTERNAL |
			 (report->is_utf8 ? (uint32_t)ENVELOPE_SMTPUTF8 : 0) |
			 (report->needs_tls ? (uint32_t)ENVELOPE_REQUIRETLS : 0),
		.body_type = report->envelope.body_type,
		.create_us = clock_wall_now().us,
	};
	struct msg_rcpt rcpt = { .address = rcpt_address, .orig_address = rcpt_address,
				 .notify = sender.n == 0 ? DSN_NOTIFY_NEVER : 0 };
	struct submit_start start = {
		.envelope = &envelope,
		.rcpt = &rcpt,
		.options = is_filtered ? 0
				       : SUBMIT_INTERNAL | SUBMIT_NO_MILTERS |
						 SUBMIT_NO_HEADER_BODY_CHECKS,
	};

	return submit_open(&cleanup, &start, s->deadline);
}

/* The end: cleanup's answer. `ret_id` is of the notification. */
static bool close_submission(struct submission *s, char ret_id[32])
{
	struct msg_submit_done done;

	send_piece(s, true);
	(void)snprintf(ret_id, 32, "%s", next_id);
	if (s->is_broken || submit_answer(&cleanup, &done, s->deadline) != IPC_OK)
		return false;
	if (done.result != SUBMIT_OK && done.result != SUBMIT_DISCARD) {
		log_warn("notification not accepted: %s %s", log_clean(done.status),
			 log_clean(done.reason));
		return false;
	}
	if (done.next_queue_id.n >= sizeof(next_id))
		return false;
	(void)snprintf(next_id, sizeof(next_id), "%.*s", SPAN_ARG(done.next_queue_id));
	return true;
}

/* Makes one notification durable. A body that is damaged is left out the second time. */
static bool submit(struct report *report, const struct report_reader *reader, struct span sender,
		   char ret_id[32])
{
	for (;;) {
		struct submission s = {
			.piece = BUF_INIT(2 * PIECE_BYTES),
			.deadline = clock_in_ms((int64_t)conf->ipc_timeout * 1000),
		};
		enum body_status body = BODY_END;
		bool is_good = false;

		if (submit_connect(&cleanup, conf->cleanup_service_name, next_id) &&
		    open_submission(&s, report, sender, reader->address)) {
			report_header(report, reader, put, &s);
			body = report_body(report, reader, put, &s);
			is_good = body == BODY_END && close_submission(&s, ret_id);
		}
		buf_done(&s.piece);
		if (is_good)
			return true;
		/* An unfinished submission leaves nothing behind. */
		ipc_close(&cleanup);
		next_id[0] = '\0';
		if (body != BODY_DAMAGED || !report->has_original)
			return false;
		log_warn("%s: the message is damaged; only its header is returned", report->id);
		report->has_original = false;
	}
}

/* ---- who gets it ---- */

static bool tell(struct report *report, const struct kind_row *row,
		 const struct report_reader *reader, struct span sender)
{
	char id[32];

	if (!submit(report, reader, sender, id))
		return false;
	log_info("%s: %s %s: %s", report->id, reader->is_postmaster ? "postmaster" : "sender",
		 row->title, id);
	return true;
}

static bool tell_sender(struct report *report, const struct kind_row *row)
{
	struct report_reader reader = { .address = report->envelope.sender };
	bool is_anybody_told = false;

	for (size_t i = 0; i < report->rcpt_count; i++)
		is_anybody_told |= report->rcpts[i].is_sender_told;
	return !is_anybody_told || tell(report, row, &reader, SPAN(""));
}

/* VERP: each failed recipient's notification goes to the address that was made for it. */
static bool tell_verp_senders(struct report *report, const struct kind_row *row)
{
	bool is_good = true;

	for (size_t i = 0; i < report->rcpt_count && is_good; i++) {
		const struct report_rcpt *rcpt = &report->rcpts[i];
		struct buf address = BUF_INIT(4096);

		if (rcpt->is_sender_told &&
		    verp_sender(&address, report->envelope.verp_delims, report->envelope.sender,
				verp_rcpt(rcpt->outcome.orig_address, rcpt->outcome.address),
				conf->double_bounce_sender)) {
			struct report_reader reader = { .address = buf_span(&address),
							.only = rcpt };

			is_good = tell(report, row, &reader, SPAN(""));
		}
		buf_done(&address);
	}
	return is_good;
}

/* What failed in an alias with an owner is his: each failure has a notification of its own. */
static bool tell_owners(struct report *report, const struct kind_row *row)
{
	bool is_good = true;

	for (size_t i = 0; i < report->rcpt_count && is_good; i++) {
		struct report_rcpt *rcpt = &report->rcpts[i];
		struct report_reader reader = { .address = rcpt->outcome.owner, .only = rcpt };

		if (!rcpt->is_sender_told || rcpt->outcome.owner.n == 0)
			continue;
		is_good = tell(report, row, &reader, SPAN(""));
		rcpt->is_sender_told = false;
	}
	return is_good;
}

static size_t count_without_owner(const struct report *report)
{
	size_t count = 0;

	for (size_t i = 0; i < report->rcpt_count; i++)
		count += report->rcpts[i].outcome.owner.n == 0;
	return count;
}

static bool tell_postmaster(struct report *report, const struct kind_row *row, const char *address)
{
	struct report_reader reader = { .address = span_of(address), .is_postmaster = true };
	char *sender = mem_printf("%s@%s", conf->double_bounce_sender, conf->myorigin);
	bool is_good = tell(report, row, &reader, span_of(sender));

	free(sender);
	return is_good;
}

static bool is_double_bounce_sender(struct span sender)
{
	return span_is_nocase(addr_split(sender).local, conf->double_bounce_sender);
}

static bool tell_all(struct report *report, const struct kind_row *row)
{
	struct span sender = report->envelope.sender;
	bool is_failure = row->wanted == DSN_FAILED;

	if (is_failure && !tell_owners(report, row))
		return false;
	if ((is_failure ? count_without_owner(report) : report->rcpt_count) == 0)
		return true;
	if (is_double_bounce_sender(sender)) {
		if (is_failure)
			log_warn("%s: undeliverable postmaster notification discarded",
				 report->id);
		return true;
	}
	if (sender.n == 0) {
		if (!is_failure || !has_class(conf->notify_classes, "2bounce"))
			return true;
		report->is_double = true;
		return tell_postmaster(report, row, conf->twobounce_notice_recipient);
	}
	if ((report->envelope.flags & ENVELOPE_VERP) != 0 && is_failure &&
	    !conf->disable_verp_bounces) {
		if (!tell_verp_senders(report, row))
			return false;
	} else if (!tell_sender(report, row)) {
		return false;
	}
	if (row->class == NULL || !has_class(conf->notify_classes, row->class))
		return true;
	return tell_postmaster(report, row,
			       is_failure ? conf->bounce_notice_recipient
					  : conf->delay_notice_recipient);
}

/* ---- what it is about ---- */


static void add_rcpt(struct report *report, const struct msg_outcome *outcome, bool is_told)
{
	report->rcpts = mem_resize(report->rcpts,
				   (report->rcpt_count + 1) * sizeof(*report->rcpts));
	report->rcpts[report->rcpt_count++] =
		(struct report_rcpt){ .outcome = *outcome, .is_sender_told = is_told };
}

static bool is_told(const struct report *report, const struct kind_row *row,
		    const struct msg_outcome *outcome)
{
	if ((report->envelope.flags & (ENVELOPE_VERIFY_ONLY | ENVELOPE_VERBOSE)) != 0 &&
	    row->kind == BOUNCE_TRACE)
		return true;
	return dsn_wants(outcome->notify, row->wanted);
}

/*
 * The outcomes of the log. A crash can have written one twice: it counts once. An alias can have
 * several that differ in the reason alone, of its commands.
 */
static void load_outcomes(struct report *report, const struct kind_row *row, struct span log,
			  struct htab *offsets)
{
	struct htab known = { .count = 0 };
	struct msg_outcome outcome;

	while (queue_outcomes_next(&log, &outcome)) {
		char *key = mem_printf("%" PRIu32 " %.*s %.*s", outcome.offset,
				       SPAN_ARG(outcome.address), SPAN_ARG(outcome.reason));
		char offset[16];
		uintptr_t index = (uintptr_t)htab_get(&known, span_of(key));

		(void)snprintf(offset, sizeof(offset), "%" PRIu32, outcome.offset);
		(void)htab_put(offsets, span_of(offset), report);
		if (index > 0) {
			report->rcpts[index - 1].outcome = outcome;
		} else {
			add_rcpt(report, &outcome, is_told(report, row, &outcome));
			(void)htab_put(&known, span_of(key), (void *)(uintptr_t)report->rcpt_count);
		}
		free(key);
	}
	htab_done(&known, NULL);
}

/* At the end of its lifetime the message goes: nobody it was not delivered to is left out. */
static void add_forgotten(struct report *report, const struct kind_row *row, struct htab *offsets)
{
	struct queue_notes notes = { .is_expired = false };
	enum rcpt_status status;
	struct msg_rcpt rcpt;
	size_t at = 0;

	(void)!queue_read_notes(report->file->fd, &notes);
	while (queue_read_rcpt(report->file, &at, &status, &rcpt)) {
		struct msg_outcome outcome = {
			.offset = rcpt.offset, .action = DSN_FAILED, .address = rcpt.address,
			.orig_address = rcpt.orig_address, .orcpt = rcpt.orcpt,
			.notify = rcpt.notify, .status = SPAN("4.4.7"),
			.reason = notes.is_expired
					  ? SPAN("message is administratively expired")
					  : SPAN("message has been in the queue for too long"),
		};
		char offset[16];

		(void)snprintf(offset, sizeof(offset), "%" PRIu32, rcpt.offset);
		if (status == RCPT_TODO && htab_get(offsets, span_of(offset)) == NULL)
			add_rcpt(report, &outcome, is_told(report, row, &outcome));
	}
}

static void load_report(struct report *report, const struct kind_row *row, struct span log)
{
	uint32_t flags = report->envelope.flags;
	bool is_small = conf->bounce_size_limit == 0 ||
			queue_message_size(&report->file->header) <=
				(uint64_t)conf->bounce_size_limit;
	bool is_asked_for = (flags & (ENVELOPE_VERIFY_ONLY | ENVELOPE_VERBOSE)) != 0;
	bool is_secret = (flags & ENVELOPE_REQUIRETLS) != 0 && conf->requiretls_enable;
	struct htab offsets = { .count = 0 };

	report->is_utf8 = (flags & ENVELOPE_SMTPUTF8) != 0;
	/* RFC 8689 5: either it needs what the message needed, or there is little in it. */
	report->needs_tls = is_secret && !conf->requiretls_redact_dsn;
	report->is_tls_optional = !is_secret && (flags & ENVELOPE_TLS_OPTIONAL) != 0;
	report->has_original = row->wanted == DSN_FAILED && is_small && !is_secret &&
			       report->envelope.ret != RET_HDRS;
	report->words = words_get(row->kind == BOUNCE_TRACE && is_asked_for ? WORDS_VERIFY
									    : row->words);
	(void)snprintf(report->boundary, sizeof(report->boundary), "%s.%" PRId64 "/%.80s",
		       report->id, clock_wall_now().us / 1000000, conf->myhostname);
	load_outcomes(report, row, log, &offsets);
	if (row->kind == BOUNCE_EXPIRED)
		add_forgotten(report, row, &offsets);
	htab_done(&offsets, NULL);
}

static bool notify(const struct kind_row *row, const char *id, const struct queue_file *file,
		   struct span log)
{
	struct report report = { .id = id, .kind = row->kind, .file = file };
	char *sender;
	bool is_good;

	if (!queue_read_envelope(file, &report.envelope))
		return false;
	sender = report.envelope.sender.n > 0 ? mem_dup(report.envelope.sender)
					      : mem_printf("MAILER-DAEMON@%s", conf->myorigin);
	report.sender = sender;
	load_report(&report, row, log);
	is_good = tell_all(&report, row);
	free(report.rcpts);
	free(sender);
	return is_good;
}

bool notice_send(const struct queue_dirs *dirs, enum bounce_kind kind, const char *id)
{
	const struct kind_row *row = find_kind(kind);
	struct buf log = BUF_INIT(LOG_BYTES_MAX);
	struct queue_file file;
	enum queue_dir dir;
	bool is_good = false;
	int fd;

	if (row == NULL)
		return false;
	fd = queue_open_message(dirs, id, O_RDONLY, &dir);
	if (fd < 0 && errno == ENOENT) {
		log_warn("%s: no message for its notification", id);
		return queue_remove(dirs, row->log, id);
	}
	if (fd < 0 || queue_read_open(&file, fd) != QUEUE_GOOD) {
		log_warn("%s: read for a notification: %s", id, strerror(errno));
		return false;
	}
	if (queue_outcomes_read(dirs, row->log, id, &log) || errno == ENOENT)
		is_good = notify(row, id, &file, buf_span(&log));
	else
		log_warn("%s: read %s: %s", id, queue_dir_name(row->log), strerror(errno));
	if (is_good && !row->is_log_kept)
		is_good = queue_remove(dirs, row->log, id);
	queue_read_close(&file);
	buf_done(&log);
	return is_good;
}
