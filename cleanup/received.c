/* SPDX-License-Identifier: MIT */
/*
 * The Received: header of this hop (RFC 5321 4.4), from what the envelope says of the client. Runs
 * in cleanup's workers; names in the envelope are the client's own words.
 */

#include "base/buf.h"
#include "cleanup/cleanup.h"
#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/date.h"

/* Client text inside a comment or a word: nothing that could end it. */
static void put_clean(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		(void)buf_char(out, c <= ' ' || c == 0x7f || c == '(' || c == ')' || c == ';'
					    ? '?'
					    : (char)c);
	}
}

/* RFC 6531 4.3: ESMTP and ESMTPS are UTF8SMTP and UTF8SMTPS when the client asked for it. */
static void put_protocol(struct buf *out, const struct msg_envelope *envelope)
{
	struct span protocol = envelope->protocol;

	if ((envelope->flags & ENVELOPE_SMTPUTF8) != 0 && span_starts(protocol, SPAN("ESMTP"))) {
		(void)buf_text(out, "UTF8");
		protocol = span_from(protocol, 1);
	}
	put_clean(out, protocol);
}

static void put_client(struct buf *out, const struct msg_envelope *envelope)
{
	(void)buf_text(out, "Received: from ");
	put_clean(out, envelope->helo.n > 0 ? envelope->helo : envelope->client_name);
	(void)buf_text(out, " (");
	put_clean(out, envelope->client_name);
	(void)buf_text(out, span_has(envelope->client_addr, ':') ? " [IPv6:" : " [");
	put_clean(out, envelope->client_addr);
	(void)buf_text(out, "])\r\n");
	(void)buf_add(out, envelope->received_tls);
	if ((envelope->flags & ENVELOPE_SHOW_LOGIN) != 0 && envelope->sasl_username.n > 0) {
		(void)buf_text(out, "\t(Authenticated sender: ");
		put_clean(out, envelope->sasl_username);
		(void)buf_text(out, ")\r\n");
	}
}

void received_make(const struct message *message, struct buf *out)
{
	const struct msg_envelope *envelope = &message->envelope;
	char date[DATE_SIZE];

	(void)date_rfc5322(message->writer.header.arrival, date);
	if (envelope->protocol.n == 0) {
		(void)buf_printf(out, "Received: by %s (%s", conf->myhostname, conf->mail_name);
		if ((envelope->flags & ENVELOPE_LOCAL_USER) != 0)
			(void)buf_printf(out, ", from userid %lu",
					 (unsigned long)envelope->login_uid);
		(void)buf_printf(out, ")\r\n\tid %s; %s\r\n", message->id, date);
		return;
	}
	put_client(out, envelope);
	(void)buf_printf(out, "\tby %s (%s) with ", conf->myhostname, conf->mail_name);
	put_protocol(out, envelope);
	(void)buf_printf(out, " id %s", message->id);
	if (message->rcpt_for_trace.n > 0) {
		/* Only one: others must not learn of each other (RFC 5321 7.2). */
		(void)buf_text(out, "\r\n\tfor <");
		(void)addr_quote(out, message->rcpt_for_trace);
		(void)buf_printf(out, ">; %s\r\n", date);
	} else {
		(void)buf_printf(out, ";\r\n\t%s\r\n", date);
	}
}
