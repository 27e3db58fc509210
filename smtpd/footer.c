/* SPDX-License-Identifier: MIT */
/* smtpd_reject_footer: what the administrator wants to say behind each refusal. postconf(5). */

#include "smtpd/footer.h"

#include "base/log.h"
#include "conf/conf.h"
#include "mail/dsn.h"
#include "smtpd/attributes.h"

enum { FOOTER_BYTES = 2048 };

static struct maps *footers;

void footer_open(void)
{
	struct buf error = BUF_INIT(1000);

	footers = maps_open("smtpd_reject_footer_maps", span_of(conf->smtpd_reject_footer_maps),
			    TABLE_FOLD | TABLE_IN_JAIL, &error);
	if (footers == NULL)
		fatal("smtpd_reject_footer_maps: %s", buf_str(&error));
}

/* The footer for a reply, expanded; empty when there is none. */
static void find_footer(struct buf *out, const struct session *s, struct span text)
{
	struct span value, found = span_of(conf->smtpd_reject_footer);

	if (text.n < 4 || (text.p[0] != '4' && text.p[0] != '5'))
		return;
	if (!maps_is_empty(footers)) {
		switch (maps_find(footers, NULL, text, false, &value)) {
		case TABLE_FOUND: found = value; break;
		case TABLE_ERROR: log_warn("%s", maps_error(footers)); break;
		case TABLE_NOT_FOUND:
		case TABLE_PENDING: break;
		}
	}
	if (found.n > 0 && !attributes_expand(out, found, s, NULL, NULL, 0)) {
		log_warn("smtpd_reject_footer: malformed text: %.*s", SPAN_ARG(found));
		buf_reset(out);
	}
}

/* "550 5.1.1 ", which every line begins with. */
static size_t prefix_length(struct span text)
{
	size_t status = dsn_status_length(span_from(text, 4));

	return status > 0 && text.n > 4 + status ? 4 + status + 1 : 4;
}

/* Up to a "\n" of two characters; takes it. */
static struct span next_line(struct span *rest)
{
	for (size_t i = 0; i + 1 < rest->n; i++)
		if (rest->p[i] == '\\' && rest->p[i + 1] == 'n') {
			struct span line = span_first(*rest, i);

			*rest = span_from(*rest, i + 2);
			return line;
		}

	struct span all = *rest;

	*rest = SPAN("");
	return all;
}

/* "550-5.1.1 text": the code and what separates it from the rest say whether more lines follow. */
static void add_line(struct buf *out, struct span text, struct span body, struct span tail,
		     bool is_last)
{
	(void)buf_add(out, span_first(text, 3));
	(void)buf_char(out, is_last ? ' ' : '-');
	(void)buf_add(out, body);
	(void)buf_add(out, tail);
	(void)buf_text(out, "\r\n");
}

void footer_add(struct buf *out, const struct session *s, struct span text)
{
	struct buf footer = BUF_INIT(FOOTER_BYTES);
	struct span rest, tail = SPAN(""), status;

	find_footer(&footer, s, text);
	rest = buf_span(&footer);
	if (span_starts(rest, SPAN("\\c"))) {
		rest = span_from(rest, 2);
		tail = next_line(&rest);
	}
	status = span_from(span_first(text, prefix_length(text)), 4);
	add_line(out, text, span_from(text, 4), tail, rest.n == 0);
	while (rest.n > 0) {
		tail = next_line(&rest);
		add_line(out, text, status, tail, rest.n == 0);
	}
	buf_done(&footer);
}
