/* SPDX-License-Identifier: MIT */
/* Attributes of a session for reply texts. The texts are the administrator's, the values the client's. */

#include "smtpd/attributes.h"

#include <string.h>
#include <time.h>

#include "conf/conf.h"
#include "deliver/expand.h"
#include "mail/addr.h"

enum { FILTER_BYTES = 257, VALUE_BYTES = 1200 };

struct source {
	const struct session *s;
	const struct check *check;
	const struct attribute *extra;
	size_t extra_count;
	struct buf value; /* of the last name, where it must be made */
};

/* Address, its local part, its domain: by the suffix behind "sender" or "recipient". */
static bool address_part(struct span address, struct span suffix, struct span *ret)
{
	struct addr parts = addr_split(address);

	if (suffix.n == 0)
		*ret = address.n > 0 ? address : SPAN("<>");
	else if (span_is(suffix, "_name"))
		*ret = address.n > 0 ? parts.local : SPAN("<>");
	else if (span_is(suffix, "_domain"))
		*ret = parts.domain;
	else
		return false;
	return true;
}

static struct span local_time(struct buf *out)
{
	time_t now = time(NULL);
	struct tm broken;
	char text[32] = "";

	if (localtime_r(&now, &broken) != NULL)
		(void)strftime(text, sizeof(text), "%b %d %H:%M:%S", &broken);
	(void)buf_set(out, span_of(text));
	return buf_span(out);
}

static bool value_of(void *context, struct span name, struct span *ret)
{
	struct source *source = context;
	const struct session *s = source->s;
	const struct peer *peer = &s->peer;
	const struct {
		const char *name;
		struct span value;
	} plain[] = {
		{ "client", span_of(client_text(s)) },
		{ "client_address", span_of(peer->addr) },
		{ "client_name", span_of(peer->name) },
		{ "client_port", span_of(peer->port) },
		{ "reverse_client_name", span_of(peer->reverse_name) },
		{ "helo_name", buf_span(&s->helo) },
		{ "server_name", span_of(conf->myhostname) },
	};

	for (size_t i = 0; i < source->extra_count; i++)
		if (span_is(name, source->extra[i].name)) {
			*ret = source->extra[i].value;
			return true;
		}
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (span_is(name, plain[i].name)) {
			*ret = plain[i].value;
			return true;
		}
	if (span_is(name, "localtime")) {
		*ret = local_time(&source->value);
		return true;
	}
	if (span_starts(name, SPAN("sender")))
		return address_part(s->mail.mail.sender, span_from(name, 6), ret);
	if (span_starts(name, SPAN("recipient")))
		return address_part(source->check != NULL ? source->check->rcpt : SPAN(""),
				    span_from(name, 9), ret);
	return false;
}

/* smtpd_expansion_filter with its "\t", "\40" and "\\" replaced; made once. */
static const char *allowed_bytes(void)
{
	static char allowed[FILTER_BYTES];
	struct span text = span_of(conf->smtpd_expansion_filter);
	size_t n = 0;

	if (allowed[0] != '\0')
		return allowed;
	while (text.n > 0 && n < sizeof(allowed) - 1) {
		unsigned c = (unsigned char)text.p[0];

		text = span_from(text, 1);
		if (c == '\\' && text.n > 0) {
			static const char letters[] = "abfnrtv", values[] = "\a\b\f\n\r\t\v";
			const char *letter = strchr(letters, text.p[0]);
			int digits = 0;

			c = 0;
			while (digits < 3 && text.n > 0 && text.p[0] >= '0' && text.p[0] <= '7') {
				c = c * 8 + (unsigned)(text.p[0] - '0');
				text = span_from(text, 1);
				digits++;
			}
			if (digits == 0) {
				c = (unsigned char)(letter != NULL ? values[letter - letters]
								   : text.p[0]);
				text = span_from(text, 1);
			}
		}
		if (c > 0 && c < 256)
			allowed[n++] = (char)c;
	}
	return allowed;
}

bool attributes_expand(struct buf *out, struct span text, const struct session *s,
		       const struct check *check, const struct attribute *extra,
		       size_t extra_count)
{
	struct source source = { s, check, extra, extra_count, BUF_INIT(VALUE_BYTES) };
	bool is_good = expand_text(out, text, allowed_bytes(), value_of, &source, NULL);

	buf_done(&source.value);
	return is_good;
}
