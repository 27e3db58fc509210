/* SPDX-License-Identifier: MIT */
/*
 * A message from its input to postdrop, in the records of queue/maildrop.h. Runs as the caller:
 * what is checked here is for his convenience, postdrop and pickup believe none of it.
 */

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "commands/sendmail/sendmail.h"
#include "conf/conf.h"
#include "mail/header.h"

enum { PIECE_BYTES = 60 * 1024, HEAD_MAX = 4 * 1024 * 1024 };

extern char **environ;

void submission_add_rcpt(struct submission *submission, struct span address)
{
	size_t count = submission->rcpt_count;

	submission->rcpts = mem_resize(submission->rcpts, (count + 1) * sizeof(struct msg_rcpt));
	submission->rcpts[count] = (struct msg_rcpt){ .address = address };
	submission->rcpt_count++;
}

/* ---- postdrop ---- */

struct pipe_to {
	pid_t pid;
	int fd;
	struct buf content; /* not yet sent */
	uint64_t size;
};

static void start_postdrop(struct pipe_to *to)
{
	char *path = mem_printf("%s/postdrop", conf->command_directory);
	char *argv[] = { (char[]){ "postdrop" }, (char[]){ "-r" }, NULL };
	posix_spawn_file_actions_t actions;
	int fds[2], error;

	*to = (struct pipe_to){ .pid = 0 };
	buf_init(&to->content, SIZE_MAX / 4);
	if (pipe(fds) < 0)
		fail(EX_OSERR, "pipe: %s", strerror(errno));
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawn_file_actions_adddup2(&actions, fds[0], STDIN_FILENO);
	(void)posix_spawn_file_actions_addclose(&actions, fds[0]);
	(void)posix_spawn_file_actions_addclose(&actions, fds[1]);
	error = posix_spawn(&to->pid, path, &actions, NULL, argv, environ);
	if (error != 0)
		fail(EX_TEMPFAIL, "cannot run %s: %s", path, strerror(error));
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(fds[0]);
	to->fd = fds[1];
	free(path);
}

/* Its end; what it had to say, it has said on standard error. */
static void end_postdrop(struct pipe_to *to)
{
	int status;

	(void)close(to->fd);
	buf_done(&to->content);
	while (waitpid(to->pid, &status, 0) < 0)
		if (errno != EINTR)
			fail(EX_OSERR, "waitpid: %s", strerror(errno));
	if (!WIFEXITED(status))
		fail(EX_TEMPFAIL, "postdrop was killed");
	if (WEXITSTATUS(status) != 0)
		exit(WEXITSTATUS(status) >= EX__BASE ? WEXITSTATUS(status) : EX_TEMPFAIL);
}

static void send_bytes(struct pipe_to *to, struct span bytes)
{
	while (bytes.n > 0) {
		ssize_t size = write(to->fd, bytes.p, bytes.n);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0) {
			end_postdrop(to);
			fail(EX_TEMPFAIL, "postdrop does not read: %s", strerror(errno));
		}
		bytes = span_from(bytes, (size_t)size);
	}
}

static void send_record(struct pipe_to *to, const struct ipc_desc *desc, const void *message)
{
	struct buf record = BUF_INIT(IPC_RECORD_MAX);

	if (!ipc_encode(&record, desc, message))
		fail(EX_DATAERR, "an address or parameter is too long");
	send_bytes(to, buf_span(&record));
	buf_done(&record);
}

static void send_content(struct pipe_to *to, bool is_last)
{
	struct msg_submit_data data = { .bytes = buf_span(&to->content), .is_last = is_last };

	to->size += to->content.length;
	if (conf->message_size_limit > 0 && to->size > (uint64_t)conf->message_size_limit)
		fail(EX_UNAVAILABLE, "message file too big");
	send_record(to, msg_submit_data_desc(), &data);
	buf_reset(&to->content);
}

static void add_content(struct pipe_to *to, struct span bytes)
{
	(void)buf_add(&to->content, bytes);
	if (to->content.length >= PIECE_BYTES)
		send_content(to, false);
}

static void send_envelope(struct pipe_to *to, struct submission *submission)
{
	send_record(to, msg_envelope_desc(), &submission->envelope);
	for (size_t i = 0; i < submission->rcpt_count; i++) {
		if (submission->rcpts[i].notify == 0)
			submission->rcpts[i].notify = submission->notify;
		send_record(to, msg_rcpt_desc(), &submission->rcpts[i]);
	}
}

/* ---- the input ---- */

/*
 * Whether a CR in front of LF stays in the text: by sendmail_fix_line_endings, and with "strict"
 * by how the first line ended.
 */
struct line_ends {
	bool is_decided;
	bool keeps_cr;
};

static bool read_line(struct input *input, struct line_ends *ends, struct input_line *ret)
{
	if (!input_next(input, ret))
		return false;
	if (!ends->is_decided && ret->has_end) {
		ends->is_decided = true;
		ends->keeps_cr =
			strcmp(conf->sendmail_fix_line_endings, "never") == 0 ||
			(strcmp(conf->sendmail_fix_line_endings, "strict") == 0 && !ret->is_crlf);
	}
	if (ret->is_crlf && ends->keeps_cr)
		ret->text.n++;
	return true;
}

static bool is_lone_dot(const struct input_line *line)
{
	return line->is_first && line->has_end && span_is(line->text, ".");
}

static void add_line(struct pipe_to *to, const struct input_line *line)
{
	add_content(to, line->text);
	if (line->has_end)
		add_content(to, SPAN("\r\n"));
}

/* For -t: the header section, up to the line behind it; false when that was the last. */
static bool read_head(const struct submission *submission, struct input *input,
		      struct line_ends *ends, struct buf *ret_head)
{
	struct input_line line;

	while (read_line(input, ends, &line)) {
		bool is_header = !line.is_first || header_is_continuation(line.text) ||
				 header_is_mailbox_line(line.text) ||
				 header_name_length(line.text, NULL) > 0;

		if (submission->ends_at_dot && is_lone_dot(&line))
			return false;
		if (!buf_add(ret_head, line.text) || (line.has_end && !buf_text(ret_head, "\r\n")))
			fail(EX_DATAERR, "message header section too big");
		if (!is_header && line.has_end)
			return true;
	}
	return false;
}

static void find_recipients(struct submission *submission, struct span head)
{
	struct span line;

	if (header_is_mailbox_line(head))
		(void)span_line(&head, &line);
	recipients_add_head(submission, head);
	if (submission->rcpt_count == 0)
		fail(EX_DATAERR, "No recipient addresses found in message header");
}

void submit_message(struct submission *submission, struct input *input)
{
	struct line_ends ends = { .is_decided = false };
	struct buf head = BUF_INIT(HEAD_MAX);
	struct input_line line;
	struct pipe_to to;
	bool has_more = true;

	if (submission->takes_recipients) {
		has_more = read_head(submission, input, &ends, &head);
		find_recipients(submission, buf_span(&head));
	}
	start_postdrop(&to);
	send_envelope(&to, submission);
	add_content(&to, buf_span(&head));
	buf_done(&head);
	while (has_more && read_line(input, &ends, &line)) {
		if (submission->ends_at_dot && is_lone_dot(&line))
			break;
		/* The dot that SMTP puts in front of one (RFC 5321 4.5.2). */
		if (submission->is_smtp && line.is_first && span_starts(line.text, SPAN(".")))
			line.text = span_from(line.text, 1);
		add_line(&to, &line);
	}
	send_content(&to, true);
	end_postdrop(&to);
}

void submit_nothing(struct submission *submission)
{
	struct pipe_to to;

	start_postdrop(&to);
	send_envelope(&to, submission);
	send_content(&to, true);
	end_postdrop(&to);
}
