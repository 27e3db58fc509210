/* SPDX-License-Identifier: MIT */
/*
 * postcat(1): shows queue files: envelope, header, body. For the superuser, since others cannot
 * read the queue. Files are trusted after their checksums; control characters in envelopes are
 * shown as they are, as in any dump.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "mail/date.h"
#include "proc/command.h"
#include "queue/dirs.h"
#include "queue/envelope.h"

enum { SHOW_ENVELOPE = 1, SHOW_HEADER = 2, SHOW_BODY = 4, SHOW_ALL = 7 };

enum { HEAD_MAX = 64 * 1024 * 1024 };

static struct {
	unsigned show;
	bool has_offsets; /* -o */
	bool has_types;   /* -d */
	bool has_names;   /* -v: in front of text lines too */
} state;

/* Record types, with the numbers that Postfix's files have for them (-d). */
enum type {
	TYPE_ATTRIBUTE = 'A',
	TYPE_SIZE = 'C',
	TYPE_DONE = 'D',
	TYPE_END = 'E',
	TYPE_FULL_NAME = 'F',
	TYPE_CONTENT = 'M',
	TYPE_TEXT = 'N',
	TYPE_ORIGINAL = 'O',
	TYPE_RECIPIENT = 'R',
	TYPE_SENDER = 'S',
	TYPE_TIME = 'T',
	TYPE_EXTRACTED = 'X',
};

static void put_prefix(enum type type, uint64_t offset)
{
	if (state.has_offsets)
		(void)printf("%9llu ", (unsigned long long)offset);
	if (state.has_types)
		(void)printf("%3d ", (int)type);
}

static void put_record(enum type type, uint64_t offset, const char *name, struct span value)
{
	put_prefix(type, offset);
	(void)printf("%s: ", name);
	(void)fwrite(value.p, 1, value.n, stdout);
	(void)putchar('\n');
}

/* ---- the envelope ---- */

static void put_attribute(uint64_t offset, const char *name, struct span value)
{
	if (value.n == 0)
		return;
	put_prefix(TYPE_ATTRIBUTE, offset);
	(void)printf("named_attribute: %s=", name);
	(void)fwrite(value.p, 1, value.n, stdout);
	(void)putchar('\n');
}

static void put_number(uint64_t offset, const char *name, uint32_t value)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%u", value);
	if (value != 0)
		put_attribute(offset, name, span_of(text));
}

static void put_time(enum type type, uint64_t offset, const char *name, int64_t us)
{
	char date[DATE_SIZE];

	put_record(type, offset, name, date_ctime((struct clock_wall){ us }, date));
}

static void put_sizes(const struct queue_header *header)
{
	put_prefix(TYPE_SIZE, 0);
	(void)printf("message_size: %15llu %15llu %15u %15u %15llu %15u\n",
		     (unsigned long long)queue_message_size(header),
		     (unsigned long long)header->body.offset, header->rcpt_count, header->flags,
		     (unsigned long long)queue_message_size(header), header->content);
}

static void put_origin(uint64_t offset, const struct msg_envelope *envelope)
{
	const struct {
		const char *name;
		struct span value;
	} rows[] = {
		{ "log_ident", envelope->log_ident },
		{ "rewrite_context", envelope->rewrite_context },
		{ "envelope_id", envelope->envid },
		{ "body_type", envelope->body_type },
		{ "log_client_name", envelope->log_client_name },
		{ "log_client_address", envelope->log_client_addr },
		{ "log_client_port", envelope->log_client_port },
		{ "log_helo_name", envelope->log_helo },
		{ "log_protocol_name", envelope->log_protocol },
		{ "client_name", envelope->client_name },
		{ "reverse_client_name", envelope->client_reverse_name },
		{ "client_address", envelope->client_addr },
		{ "client_port", envelope->client_port },
		{ "server_address", envelope->server_addr },
		{ "server_port", envelope->server_port },
		{ "helo_name", envelope->helo },
		{ "protocol_name", envelope->protocol },
		{ "sasl_method", envelope->sasl_method },
		{ "sasl_username", envelope->sasl_username },
		{ "sasl_sender", envelope->sasl_sender },
		{ "content_filter", envelope->content_filter },
		{ "redirect_to", envelope->redirect_to },
		{ "verp_delimiters", envelope->verp_delims },
		{ "dot_forward_ident", envelope->dot_forward_ident },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		put_attribute(offset, rows[i].name, rows[i].value);
	put_number(offset, "ret_flags", envelope->ret);
}

static void put_rcpts(const struct queue_file *file)
{
	enum rcpt_status status;
	struct msg_rcpt rcpt;
	size_t at = 0;

	while (queue_read_rcpt(file, &at, &status, &rcpt)) {
		put_attribute(rcpt.offset, "dsn_orig_rcpt", rcpt.orcpt);
		put_number(rcpt.offset, "notify_flags", rcpt.notify);
		put_record(TYPE_ORIGINAL, rcpt.offset, "original_recipient", rcpt.orig_address);
		put_record(status == RCPT_DONE ? TYPE_DONE : TYPE_RECIPIENT, rcpt.offset,
			   status == RCPT_DONE ? "done_recipient" : "recipient", rcpt.address);
	}
}

static void put_notes(int fd)
{
	struct queue_notes notes;

	if (!queue_read_notes(fd, &notes))
		return;
	put_number(QUEUE_MUTABLE_AT, "delivery_attempts", notes.attempts);
	put_number(QUEUE_MUTABLE_AT, "warning_sent", notes.warning_sent);
	put_number(QUEUE_MUTABLE_AT, "forced_expire", notes.is_expired);
}

static void put_envelope(const struct queue_file *file)
{
	uint64_t offset = file->header.envelope.offset;
	struct msg_envelope envelope;

	put_sizes(&file->header);
	put_time(TYPE_TIME, 0, "message_arrival_time", file->header.arrival.us);
	put_notes(file->fd);
	if (!queue_read_envelope(file, &envelope))
		return;
	put_time(TYPE_ATTRIBUTE, offset, "create_time", envelope.create_us);
	put_origin(offset, &envelope);
	if (envelope.full_name.n > 0)
		put_record(TYPE_FULL_NAME, offset, "sender_fullname", envelope.full_name);
	put_record(TYPE_SENDER, offset, "sender", envelope.sender);
	put_rcpts(file);
}

/* ---- the content ---- */

/* Lines with CRLF come out with LF; `*is_cr` carries a CR from one block to the next. */
static void put_text(struct span text, uint64_t *offset, bool *is_line_start, bool *is_cr)
{
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (*is_line_start) {
			put_prefix(TYPE_TEXT, *offset);
			if (state.has_names)
				(void)fputs("regular_text: ", stdout);
		}
		if (*is_cr && c != '\n')
			(void)putchar('\r');
		*is_cr = c == '\r';
		if (!*is_cr)
			(void)putchar(c);
		*is_line_start = c == '\n';
		(*offset)++;
	}
}

static bool put_header(const struct queue_file *file)
{
	struct buf head = BUF_INIT(HEAD_MAX);
	uint64_t offset = file->header.head.offset;
	bool is_line_start = true, is_cr = false;
	bool is_good = queue_read_head(file->fd, &file->header, &head);

	if (is_good)
		put_text(buf_span(&head), &offset, &is_line_start, &is_cr);
	buf_done(&head);
	return is_good;
}

static bool put_body(const struct queue_file *file)
{
	uint64_t offset = file->header.body.offset;
	bool is_line_start = true, is_cr = false;
	enum body_status status;
	struct queue_body body;
	struct span block;

	queue_body_start(&body, file->fd, &file->header);
	while ((status = queue_body_next(&body, &block)) == BODY_BLOCK)
		put_text(block, &offset, &is_line_start, &is_cr);
	queue_body_done(&body);
	if (!is_line_start)
		(void)putchar('\n');
	return status == BODY_END;
}

static bool put_content(const struct queue_file *file)
{
	uint64_t offset = file->header.head.offset;
	bool is_line_start = true, is_cr = false, is_good = true;

	if ((state.show & SHOW_HEADER) != 0)
		is_good = put_header(file);
	if ((state.show & SHOW_BODY) != 0) {
		put_text(SPAN("\r\n"), &offset, &is_line_start, &is_cr);
		is_good = put_body(file) && is_good;
	}
	return is_good;
}

static void put_marker(enum type type, uint64_t offset, const char *what, const char *name)
{
	put_prefix(type, offset);
	(void)printf("*** %s %s ***\n", what, name);
}

static bool show_file(const struct queue_file *file, const char *name)
{
	uint64_t end = file->header.envelope.offset + file->header.envelope.size;
	bool has_markers = (state.show & SHOW_ENVELOPE) != 0, is_good;

	if (has_markers) {
		(void)printf("*** ENVELOPE RECORDS %s ***\n", name);
		put_envelope(file);
		put_marker(TYPE_CONTENT, file->header.head.offset, "MESSAGE CONTENTS", name);
	}
	is_good = put_content(file);
	if (has_markers) {
		put_marker(TYPE_EXTRACTED, end, "HEADER EXTRACTED", name);
		put_marker(TYPE_END, end, "MESSAGE FILE END", name);
	}
	return is_good;
}

static void cat(int fd, const char *name)
{
	struct queue_file file;

	switch (queue_read_open(&file, fd)) {
	case QUEUE_GOOD:
		break;
	case QUEUE_UNFINISHED:
	case QUEUE_DAMAGED:
		fatal("%s: not a valid queue file", name);
	case QUEUE_IO_ERROR:
		fatal("%s: read: %s", name, strerror(errno));
	}
	if (!show_file(&file, name))
		fatal("%s: the content is damaged", name);
	queue_read_close(&file);
}

/* -q: the message wherever it is. */
static void cat_message(const struct queue_dirs *dirs, const char *id)
{
	enum queue_dir dir = QUEUE_INCOMING;
	char name[64];
	int fd;

	if (!queue_id_is_valid(span_of(id)))
		fatal("bad mail queue ID: %s", log_clean_str(id));
	fd = queue_open_message(dirs, id, O_RDONLY, &dir);
	if (fd < 0)
		fatal("open queue file %s: %s", id, strerror(errno));
	(void)snprintf(name, sizeof(name), "%s/%s", queue_dir_name(dir), id);
	cat(fd, name);
}

NORETURN static void usage(void)
{
	fatal("usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] "
	      "[-e (envelope records)] [-h (header text)] [-q (access queue)] [-v] [file(s)...]");
}

int main(int argc, char **argv)
{
	const char *directory = NULL;
	struct queue_dirs dirs;
	bool is_queue = false;
	int option;

	log_open("postcat", -1);
	while ((option = getopt(argc, argv, "bc:defhnoqrs:v")) != -1) {
		switch (option) {
		case 'b': state.show |= SHOW_BODY; break;
		case 'c': directory = optarg; break;
		case 'd': state.has_types = true; break;
		case 'e': state.show |= SHOW_ENVELOPE; break;
		case 'h': state.show |= SHOW_HEADER; break;
		case 'o': state.has_offsets = true; break;
		case 'q': is_queue = true; break;
		case 'v': state.has_names = true; break;
		case 'f': case 'n': case 'r': case 's':
			break; /* about records that refer to others: there are none here */
		default: usage();
		}
	}
	if (state.show == 0)
		state.show = SHOW_ALL;
	conf_load_command(directory);
	command_log();
	if (is_queue && !queue_dirs_open(&dirs, conf->queue_directory))
		fatal("open the queue directories in %s: %s", conf->queue_directory,
		      strerror(errno));
	for (int i = optind; i < argc; i++) {
		if (is_queue) {
			cat_message(&dirs, argv[i]);
			continue;
		}

		int fd = open(argv[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			fatal("open file %s: %s", argv[i], strerror(errno));
		cat(fd, argv[i]);
	}
	if (optind == argc && !is_queue)
		cat(dup(STDIN_FILENO), "stdin");
	if (fflush(stdout) != 0)
		fatal("write: %s", strerror(errno));
	return 0;
}
