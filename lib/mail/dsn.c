/* SPDX-License-Identifier: MIT */
/*
 * Delivery status; see dsn.h. Runs in every process that accepts or delivers mail, on texts
 * from peers and tables among others.
 */

#include "mail/dsn.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "mail/addr.h"
#include "mail/xtext.h"

const char *dsn_action_text(enum dsn_action action)
{
	static const char *const texts[] = {
		[DSN_DELIVERED] = "delivered",
		[DSN_RELAYED] = "relayed",
		[DSN_EXPANDED] = "expanded",
		[DSN_DELAYED] = "delayed",
		[DSN_FAILED] = "failed",
		[DSN_DELIVERABLE] = "deliverable",
		[DSN_UNDELIVERABLE] = "undeliverable",
	};

	return texts[action];
}

/* number = "." 1*3DIGIT    ; leading zeros do occur. The offset behind it, or 0 */
static size_t take_number(struct span text, size_t at)
{
	size_t digits = 0;

	if (at >= text.n || text.p[at] != '.')
		return 0;
	at++;
	while (at + digits < text.n && digits < 4 && ascii_is_digit(text.p[at + digits]))
		digits++;
	return digits >= 1 && digits <= 3 ? at + digits : 0;
}

/* status = ("2" / "4" / "5") 2number    (RFC 3463 2) */
size_t dsn_status_length(struct span text)
{
	size_t at = 1;

	if (text.n == 0 || (text.p[0] != '2' && text.p[0] != '4' && text.p[0] != '5'))
		return 0;
	at = take_number(text, at);
	at = at > 0 ? take_number(text, at) : 0;
	return at > 0 && (at == text.n || ascii_is_blank(text.p[at])) ? at : 0;
}

void dsn_split(struct span text, const char *default_status, char ret_status[DSN_STATUS_SIZE],
	       struct span *ret_reason)
{
	size_t length;

	text = span_trim(text);
	length = dsn_status_length(text);
	if (length > 0) {
		memcpy(ret_status, text.p, length);
		ret_status[length] = '\0';
	} else {
		(void)snprintf(ret_status, DSN_STATUS_SIZE, "%s", default_status);
	}
	*ret_reason = span_trim(span_from(text, length));
}

void dsn_split_for_code(struct span text, int code, const char *detail,
			char ret_status[DSN_STATUS_SIZE], struct span *ret_reason)
{
	char status[DSN_STATUS_SIZE];
	char class = code >= 500 ? '5' : code >= 400 ? '4' : '2';

	(void)snprintf(status, sizeof(status), "%c.%s", class, detail);
	dsn_split(text, status, ret_status, ret_reason);
	ret_status[0] = class;
}

void dsn_soften(char status[DSN_STATUS_SIZE])
{
	if (status[0] == '5')
		status[0] = '4';
}

static const struct {
	const char *word;
	unsigned bit;
} notify_words[] = {
	{ "NEVER", DSN_NOTIFY_NEVER },
	{ "SUCCESS", DSN_NOTIFY_SUCCESS },
	{ "FAILURE", DSN_NOTIFY_FAILURE },
	{ "DELAY", DSN_NOTIFY_DELAY },
};

bool dsn_notify_parse(struct span text, unsigned *ret_notify)
{
	unsigned notify = 0;
	struct span word;

	while ((word = span_word(&text, ",")).n > 0) {
		size_t i = 0;

		while (i < ARRAY_LEN(notify_words) && !span_is_nocase(word, notify_words[i].word))
			i++;
		if (i == ARRAY_LEN(notify_words))
			return false;
		notify |= notify_words[i].bit;
	}
	if (notify == 0 || ((notify & DSN_NOTIFY_NEVER) != 0 && notify != DSN_NOTIFY_NEVER))
		return false;
	*ret_notify = notify;
	return true;
}

bool dsn_notify_format(struct buf *out, unsigned notify)
{
	const char *separator = "";

	for (size_t i = 0; i < ARRAY_LEN(notify_words); i++) {
		if ((notify & notify_words[i].bit) == 0)
			continue;
		buf_text(out, separator);
		buf_text(out, notify_words[i].word);
		separator = ",";
	}
	return !buf_is_over(out);
}

bool dsn_wants(unsigned notify, enum dsn_action action)
{
	if (notify == 0)
		notify = DSN_NOTIFY_FAILURE | DSN_NOTIFY_DELAY;
	switch (action) {
	case DSN_DELIVERED:
	case DSN_RELAYED:
	case DSN_EXPANDED:
		return (notify & DSN_NOTIFY_SUCCESS) != 0;
	case DSN_DELAYED:
		return (notify & DSN_NOTIFY_DELAY) != 0;
	case DSN_FAILED:
		return (notify & DSN_NOTIFY_FAILURE) != 0;
	case DSN_DELIVERABLE:
	case DSN_UNDELIVERABLE:
		return true;
	}
	return false;
}

bool dsn_ret_parse(struct span text, enum dsn_ret *ret)
{
	if (span_is_nocase(text, "FULL"))
		*ret = DSN_RET_FULL;
	else if (span_is_nocase(text, "HDRS"))
		*ret = DSN_RET_HDRS;
	else
		return false;
	return true;
}

static bool is_atom(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!addr_is_atext(s.p[i]) || (unsigned char)s.p[i] > 0x7f)
			return false;
	return s.n > 0;
}

/* orcpt = addr-type ";" xtext    (RFC 3461 4.2; RFC 6533 3 for utf-8) */
bool dsn_orcpt_decode(struct buf *out, struct span text)
{
	size_t start = buf_span(out).n;
	struct span type, rest;

	if (!span_cut(text, ';', &type, &rest) || !is_atom(type))
		return false;
	buf_add(out, type);
	buf_char(out, ';');
	if (span_is_nocase(type, "utf-8") ? utf8_xtext_decode(out, rest) : xtext_decode(out, rest))
		return true;
	buf_truncate(out, start);
	return false;
}

bool dsn_orcpt_encode(struct buf *out, struct span orcpt)
{
	struct span type = { NULL, 0 }, rest = orcpt;

	if (span_cut(orcpt, ';', &type, &rest)) {
		buf_add(out, type);
		buf_char(out, ';');
	}
	if (span_is_nocase(type, "utf-8"))
		return utf8_xtext_encode(out, rest);
	return xtext_encode(out, rest);
}

static void append_clean(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		buf_char(out,
			 (unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f ? '?' : text.p[i]);
}

bool dsn_field(struct buf *out, const char *name, struct span text)
{
	buf_text(out, name);
	buf_text(out, ": ");
	append_clean(out, text);
	return buf_char(out, '\n');
}

bool dsn_typed_field(struct buf *out, const char *name, const char *type, struct span text)
{
	buf_printf(out, "%s: %s; ", name, type);
	append_clean(out, text);
	return buf_char(out, '\n');
}
