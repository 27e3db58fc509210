/* SPDX-License-Identifier: MIT */
/*
 * Server replies; see smtp_reply.h. Runs in smtp and smtpd's proxy, on what a remote server
 * says. RFC 5321 4.2, RFC 2034.
 */

#include "mail/smtp_reply.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

void smtp_reply_init(struct smtp_reply *reply)
{
	memset(reply, 0, sizeof(*reply));
	buf_init(&reply->text, SMTP_REPLY_LINES_MAX * (SMTP_REPLY_LINE_MAX + 1));
}

void smtp_reply_done(struct smtp_reply *reply)
{
	buf_done(&reply->text);
}

void smtp_reply_reset(struct smtp_reply *reply)
{
	buf_reset(&reply->text);
	reply->code = 0;
	reply->status[0] = '\0';
	reply->line_text = (struct span){ NULL, 0 };
	reply->lines = 0;
}

/* Reply text goes to logs and bounces: it stays one line of printable characters. */
static void append_clean(struct buf *out, struct span line)
{
	for (size_t i = 0; i < line.n;) {
		size_t n = utf8_char_length(span_from(line, i));

		if (n > 1 || (n == 1 && ascii_is_print(line.p[i]))) {
			buf_append(out, line.p + i, n);
			i += n;
		} else {
			buf_char(out, '?');
			i++;
		}
	}
}

static void set_status(struct smtp_reply *reply, char class)
{
	struct span reason;

	if (class == '3') {
		reply->status[0] = '\0';
		return;
	}
	dsn_split(reply->line_text, "", reply->status, &reason);
	if (reply->status[0] != class)
		(void)snprintf(reply->status, sizeof(reply->status), "%c.0.0", class);
}

/* reply-line = ("2" / "3" / "4" / "5") 2DIGIT [ ("-" / SP) text ] */
enum smtp_reply_step smtp_reply_line(struct smtp_reply *reply, struct span line)
{
	bool is_last;

	if (++reply->lines > SMTP_REPLY_LINES_MAX || line.n > SMTP_REPLY_LINE_MAX)
		return SMTP_REPLY_BAD;
	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5' || !ascii_is_digit(line.p[1]) ||
	    !ascii_is_digit(line.p[2]) || (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-'))
		return SMTP_REPLY_BAD;
	is_last = line.n == 3 || line.p[3] == ' ';
	reply->line_text = span_from(line, 4);
	if (reply->lines > 1)
		buf_char(&reply->text, ' ');
	append_clean(&reply->text, line);
	if (!is_last)
		return SMTP_REPLY_MORE;
	reply->code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
	set_status(reply, line.p[0]);
	return SMTP_REPLY_DONE;
}
