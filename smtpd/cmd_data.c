/* SPDX-License-Identifier: MIT */
/*
 * DATA and BDAT: RFC 5321 4.1.1.4, 4.5.2; RFC 3030.
 *
 * The end of data is CR LF "." CR LF and nothing else: no bare LF, no bare CR, whatever the
 * setting. What one server takes for the end and another for text is how messages are smuggled.
 */

#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "net/tcp.h"
#include "smtpd/check.h"

/* A message may begin: everything before it was in order. */
static bool may_begin(struct session *s)
{
	if (!s->mail.is_open) {
		reply(s, "503 5.5.1 Error: need MAIL command");
		return false;
	}
	if (s->mail.rcpt_count == 0) {
		if (s->mail.rcpts_refused > 0 || s->protocol == NULL || s->is_esmtp)
			reply(s, "554 5.5.1 Error: no valid recipients");
		else
			reply(s, "503 5.5.1 Error: need RCPT command");
		return false;
	}
	return true;
}

/*
 * Each read has smtpd_timeout for itself; with smtpd_per_request_deadline all of a DATA or a chunk,
 * which began at `start`, have that together and what smtpd_min_data_rate grants for the bytes
 * that came.
 */
static void set_deadline(struct session *s, struct clock_mono start, uint64_t bytes)
{
	int64_t limit_ms = (int64_t)conf->smtpd_timeout * 1000;

	if (!conf->smtpd_per_request_deadline)
		start = clock_mono_now();
	else if (conf->smtpd_min_data_rate > 0)
		limit_ms += (int64_t)(bytes * 1000 / (uint64_t)conf->smtpd_min_data_rate);
	stream_set_deadline(&s->stream, clock_add_ms(start, limit_ms));
}

/* Content is still to come, perhaps in small pieces each of which waits for our word of the one before. */
static void await_content(struct session *s)
{
	set_deadline(s, clock_mono_now(), 0);
	if (stream_flush(&s->stream) == IO_OK)
		tcp_acknowledge_at_once(s->stream.fd);
}

/* Notes what smtpd_forbid_bare_newline is about. The CR may have been in the piece or chunk before. */
static void look_for_bare_newline(struct transaction *mail, struct span bytes)
{
	size_t at, from = 0;

	while (!mail->saw_bare_newline && span_chr(span_from(bytes, from), '\n', &at)) {
		size_t lf = from + at;
		char previous = lf > 0 ? bytes.p[lf - 1] : mail->last_byte;

		mail->saw_bare_newline = previous != '\r';
		from = lf + 1;
	}
	if (bytes.n > 0)
		mail->last_byte = bytes.p[bytes.n - 1];
}

static void take_content(struct session *s, struct span bytes)
{
	look_for_bare_newline(&s->mail, bytes);
	s->mail.content_bytes += bytes.n;
	submit_content(s, bytes);
}

/* Length of the longest start of ".\r\n" that `s` is, when it is nothing more. */
static bool may_become_end(struct span s)
{
	return s.n < 3 && span_eq(s, span_first(SPAN(".\r\n"), s.n));
}

/* Where the input is: clients that end lines with a lone LF double the dots behind it all the same. */
enum place { IN_LINE, BEHIND_CRLF, BEHIND_LF };

/*
 * Takes one piece of the buffered input: text up to where something must be decided. True at the
 * end of data, which is CR LF . CR LF and nothing else.
 */
static bool take_piece(struct session *s, enum place *place, bool *ret_needs_more)
{
	struct span in = stream_buffered(&s->stream);
	const char *found;

	*ret_needs_more = false;
	if (*place != IN_LINE) {
		if (may_become_end(in)) {
			*ret_needs_more = true;
			return false;
		}
		if (*place == BEHIND_CRLF && span_starts(in, SPAN(".\r\n"))) {
			stream_take(&s->stream, 3);
			return true;
		}
		/* 4.5.2: the first of two dots, or of a dot and text */
		if (in.p[0] == '.' && (*place == BEHIND_CRLF || (in.p[1] != '\r' && in.p[1] != '\n')))
			stream_take(&s->stream, 1);
		*place = IN_LINE;
		in = stream_buffered(&s->stream);
		if (in.n == 0)
			return false;
	}
	found = in.n >= 2 ? memmem(in.p, in.n, "\n.", 2) : NULL;
	if (found != NULL)
		in = span_first(in, (size_t)(found - in.p) + 1);
	if (in.n > 0 && in.p[in.n - 1] == '\n') {
		*place = span_ends(in, SPAN("\r\n")) ? BEHIND_CRLF : BEHIND_LF;
	} else if (in.n > 0 && in.p[in.n - 1] == '\r') {
		in.n--; /* what follows decides */
		*ret_needs_more = in.n == 0;
	}
	if (in.n > 0) {
		take_content(s, in);
		stream_take(&s->stream, in.n);
	}
	return false;
}

/* Reads to the end of data: false when the client has gone or was too slow. */
static bool read_data(struct session *s)
{
	struct clock_mono start = clock_mono_now();
	enum place place = BEHIND_CRLF;
	bool needs_more = false;

	for (;;) {
		struct span in;

		set_deadline(s, start, s->mail.content_bytes);
		if ((needs_more ? stream_more(&s->stream) : stream_peek(&s->stream, &in)) != IO_OK)
			return false;
		if (take_piece(s, &place, &needs_more))
			return true;
	}
}

static void finish_message(struct session *s)
{
	bool is_bare_refused = strcmp(conf->smtpd_forbid_bare_newline, "reject") == 0;

	s->where = "END-OF-MESSAGE";
	if (s->mail.saw_bare_newline && is_bare_refused && !s->mail.is_broken &&
	    match_client(tables.bare_newline_exceptions, &s->lookup, span_of(s->peer.name),
			 span_of(s->peer.addr)) != MATCH_YES) {
		log_info("%s: reject: bare <LF> received from %s",
			 s->mail.was_logged ? s->queue_id : "NOQUEUE", client_text(s));
		submit_abandon(s);
		reply(s, "%d 5.5.2 Error: bare <LF> received",
		      conf->smtpd_forbid_bare_newline_reject_code);
		s->must_close = true;
	} else if (!s->mail.is_broken && !check_end_of_data(s)) {
		submit_abandon(s);
		reply(s, "%s", buf_str(&s->reply));
	} else {
		submit_finish(s);
	}
	session_reset_mail(s);
	notice_flush(s);
}

void cmd_data(struct session *s, struct span arguments)
{
	if (s->mail.in_bdat) {
		reply(s, "503 5.5.1 Error: DATA after BDAT");
		return;
	}
	if (!may_begin(s))
		return;
	if (span_trim(arguments).n > 0) {
		reply(s, "501 5.5.4 Syntax: DATA");
		return;
	}
	if (!check_data(s)) {
		reply(s, "%s", buf_str(&s->reply));
		return;
	}
	s->where = "DATA";
	submit_envelope(s);
	notice_line(s, "Out", SPAN("354 End data with <CR><LF>.<CR><LF>"));
	stream_write(&s->stream, SPAN("354 End data with <CR><LF>.<CR><LF>\r\n"));
	if (stream_buffered(&s->stream).n == 0)
		await_content(s);
	if (!read_data(s))
		return; /* the loop sees the stream's state and says what happened */
	finish_message(s);
}

/* ---- BDAT ---- */

/* "SIZE [LAST]": RFC 3030 2. */
static bool parse_chunk(struct span arguments, uint64_t *ret_size, bool *ret_is_last)
{
	struct span size = span_word(&arguments, " \t"), last = span_word(&arguments, " \t");

	*ret_is_last = last.n > 0;
	return span_u64(size, INT64_MAX, ret_size) &&
	       (last.n == 0 || span_is_nocase(last, "LAST")) && span_trim(arguments).n == 0;
}

static bool read_chunk(struct session *s, uint64_t size, bool is_wanted)
{
	struct clock_mono start = clock_mono_now();
	uint64_t done = 0;

	if (stream_buffered(&s->stream).n < size)
		await_content(s);
	while (size > 0) {
		struct span in;

		set_deadline(s, start, done);
		if (stream_peek(&s->stream, &in) != IO_OK)
			return false;
		if (in.n > size)
			in.n = (size_t)size;
		done += in.n;
		if (is_wanted)
			take_content(s, in);
		stream_take(&s->stream, in.n);
		size -= in.n;
	}
	return true;
}

/* The chunk comes whatever is said about it: it is read before the answer (RFC 3030 4.2). */
static void refuse_chunk(struct session *s, uint64_t size, const char *text)
{
	if (read_chunk(s, size, false))
		reply(s, "%s", text);
}

static void refuse_chunk_out_of_order(struct session *s, uint64_t size, const char *text)
{
	log_refusal(s, span_of(text));
	if (read_chunk(s, size, false))
		reply_logged(s, "%s", text);
}

void cmd_bdat(struct session *s, struct span arguments)
{
	uint64_t size;
	bool is_last;

	/* Without a length there is no telling where the next command is. */
	if (!parse_chunk(arguments, &size, &is_last)) {
		reply(s, "521 5.5.4 Syntax: BDAT count [LAST]");
		s->must_close = true;
		return;
	}
	if (!s->has_chunking && s->protocol != NULL && s->is_esmtp) {
		refuse_chunk_out_of_order(s, size, "503 5.5.1 Error: BDAT is not announced");
		return;
	}
	if (!s->mail.is_open) {
		refuse_chunk_out_of_order(s, size, "503 5.5.1 Error: need MAIL command");
		return;
	}
	if (s->mail.rcpt_count == 0) {
		refuse_chunk_out_of_order(s, size, "554 5.5.1 Error: no valid recipients");
		return;
	}
	if (!s->mail.in_bdat) {
		if (!check_data(s)) {
			struct buf text = BUF_INIT(4096);

			(void)buf_add(&text, buf_span(&s->reply));
			refuse_chunk(s, size, buf_str(&text));
			buf_done(&text);
			return;
		}
		submit_envelope(s);
		s->mail.in_bdat = true;
	}
	s->where = "BDAT";
	if (!read_chunk(s, size, true))
		return;
	if (is_last)
		finish_message(s);
	else
		reply(s, "250 2.0.0 Ok: %llu bytes", (unsigned long long)size);
}
