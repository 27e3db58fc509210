/* SPDX-License-Identifier: MIT */
/* HELO and EHLO: RFC 5321 4.1.1.1. Both end a transaction in progress (4.1.4). */

#include "conf/conf.h"
#include "base/log.h"
#include "smtpd/address.h"
#include "smtpd/auth.h"
#include "smtpd/check.h"
#include "smtpd/keywords.h"
#include "smtpd/tls.h"

enum { HELO_MAX = 512 };

static const struct {
	const char *word;
	unsigned keyword;
} keywords[] = {
	{ "pipelining", KEYWORD_PIPELINING },
	{ "size", KEYWORD_SIZE },
	{ "vrfy", KEYWORD_VRFY },
	{ "etrn", KEYWORD_ETRN },
	{ "auth", KEYWORD_AUTH },
	{ "starttls", KEYWORD_STARTTLS },
	{ "enhancedstatuscodes", KEYWORD_ENHANCED },
	{ "8bitmime", KEYWORD_8BITMIME },
	{ "dsn", KEYWORD_DSN },
	{ "smtputf8", KEYWORD_SMTPUTF8 },
	{ "chunking", KEYWORD_CHUNKING },
	{ "requiretls", KEYWORD_REQUIRETLS },
	{ "silent-discard", KEYWORD_SILENT },
};

unsigned keywords_parse(struct span list, struct span *ret_unknown)
{
	unsigned found = 0;
	struct span word;

	while ((word = span_word(&list, ", \t\r\n")).n > 0) {
		bool is_known = false;

		for (size_t i = 0; i < ARRAY_LEN(keywords); i++) {
			if (!span_is_nocase(word, keywords[i].word))
				continue;
			found |= keywords[i].keyword;
			is_known = true;
		}
		if (!is_known)
			*ret_unknown = word;
	}
	return found;
}

/* What this client is not told of, by smtpd_discard_ehlo_keyword_address_maps or for all. */
static unsigned discarded(struct session *s)
{
	struct span value, unknown = { 0 };

	if (maps_is_empty(tables.ehlo_keyword_maps) ||
	    maps_find(tables.ehlo_keyword_maps, &s->lookup, span_of(s->peer.addr), false, &value) !=
		    TABLE_FOUND)
		return tables.discard_keywords;
	return keywords_parse(value, &unknown);
}

/* Takes the name and ends the transaction; false when it was answered already. */
static bool take_name(struct session *s, struct span name, const char *verb, bool is_esmtp)
{
	name = span_trim(name);
	if (name.n == 0) {
		reply(s, "501 Syntax: %s hostname", verb);
		return false;
	}
	if (name.n > HELO_MAX) {
		reply(s, "501 5.5.2 Hostname too long");
		return false;
	}
	session_reset_mail(s);
	notice_flush(s);
	(void)buf_set(&s->helo, name);
	s->is_esmtp = is_esmtp;
	s->protocol = is_esmtp ? "ESMTP" : "SMTP";
	if (!check_helo(s)) {
		reply(s, "%s", buf_str(&s->reply));
		buf_reset(&s->helo);
		s->protocol = NULL;
		return false;
	}
	return true;
}

void cmd_helo(struct session *s, struct span arguments)
{
	if (!take_name(s, arguments, "HELO", false))
		return;
	s->may_pipeline = s->has_chunking = false;
	/* Without EHLO there are no parameters to refuse: what comes is taken as Postfix does. */
	s->ext = SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_DSN | verp_ext(s);
	reply(s, "250 %s", conf->myhostname);
}

static void announce_line(struct stream *out, const struct sasl_mechanisms *offer, char separator)
{
	stream_printf(out, "250-AUTH");
	for (size_t i = 0; i < offer->count; i++)
		stream_printf(out, "%c%s", i == 0 ? separator : ' ', offer->list[i].name);
	stream_printf(out, "\r\n");
}

/* RFC 4954 3; "AUTH=" is what clients of a draft of it look for. */
static void announce_auth(struct session *s)
{
	struct sasl_mechanisms offer;

	if (!auth_is_enabled(s) || !session_tls_permits_auth(s) || !auth_offer(s, &offer))
		return;
	s->ext |= SMTP_EXT_AUTH;
	announce_line(&s->stream, &offer, ' ');
	if (conf->broken_sasl_auth_clients)
		announce_line(&s->stream, &offer, '=');
}

void cmd_ehlo(struct session *s, struct span arguments)
{
	struct stream *out = &s->stream;
	unsigned off;

	if (!take_name(s, arguments, "EHLO", true))
		return;
	off = discarded(s);
	if (off != 0 && (off & KEYWORD_SILENT) == 0)
		log_info("discarding EHLO keywords for %s", client_text(s));
	s->ext = verp_ext(s);
	stream_printf(out, "250-%s\r\n", conf->myhostname);
	s->may_pipeline = (off & KEYWORD_PIPELINING) == 0;
	if (s->may_pipeline)
		stream_printf(out, "250-PIPELINING\r\n");
	if ((off & KEYWORD_SIZE) == 0) {
		s->ext |= SMTP_EXT_SIZE;
		if (conf->message_size_limit > 0)
			stream_printf(out, "250-SIZE %lld\r\n", (long long)conf->message_size_limit);
		else
			stream_printf(out, "250-SIZE\r\n");
	}
	if (!conf->disable_vrfy_command && (off & KEYWORD_VRFY) == 0)
		stream_printf(out, "250-VRFY\r\n");
	if ((off & KEYWORD_ETRN) == 0)
		stream_printf(out, "250-ETRN\r\n");
	s->is_tls_hidden = (off & KEYWORD_STARTTLS) != 0;
	if (!s->is_tls_hidden && session_offers_tls(s))
		stream_printf(out, "250-STARTTLS\r\n");
	if ((s->ext & SMTP_EXT_XVERP) != 0)
		stream_printf(out, "250-XVERP\r\n");
	if ((off & KEYWORD_AUTH) == 0)
		announce_auth(s);
	if ((off & KEYWORD_ENHANCED) == 0)
		stream_printf(out, "250-ENHANCEDSTATUSCODES\r\n");
	if ((off & KEYWORD_8BITMIME) == 0) {
		s->ext |= SMTP_EXT_8BITMIME;
		stream_printf(out, "250-8BITMIME\r\n");
	}
	if ((off & KEYWORD_DSN) == 0) {
		s->ext |= SMTP_EXT_DSN;
		stream_printf(out, "250-DSN\r\n");
	}
	if (conf->smtputf8_enable && (off & KEYWORD_SMTPUTF8) == 0) {
		s->ext |= SMTP_EXT_SMTPUTF8;
		stream_printf(out, "250-SMTPUTF8\r\n");
	}
	/* RFC 8689 2: only where it is encrypted already. */
	if (conf->requiretls_enable && s->tls != NULL && (off & KEYWORD_REQUIRETLS) == 0) {
		s->ext |= SMTP_EXT_REQUIRETLS;
		stream_printf(out, "250-REQUIRETLS\r\n");
	}
	s->has_chunking = (off & KEYWORD_CHUNKING) == 0;
	if (s->has_chunking)
		stream_printf(out, "250-CHUNKING\r\n");
	/* The last line; HELP is always there (RFC 5321 4.1.1.8). */
	stream_printf(out, "250 HELP\r\n");
}
