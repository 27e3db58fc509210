/* SPDX-License-Identifier: MIT */
/*
 * DNS block lists and allow lists: reject_rbl_client and its kin. "list.example=127.0.0.[2;4..6]"
 * counts only answers that match. RFC 5782; postconf(5) reject_rbl_client, default_rbl_reply.
 */

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/addr.h"
#include "mail/dsn.h"
#include "net/dns.h"
#include "smtpd/attributes.h"
#include "smtpd/check.h"

enum { LOOKUP_MS = 30000 };

enum listing { NOT_LISTED, IS_LISTED, LISTING_FAILED };

/* One part between dots of an answer pattern: "[1;3..5]", "2". */
static bool part_matches(struct span pattern, uint64_t value)
{
	struct span item, low, high;
	uint64_t from, to;

	if (pattern.n > 1 && pattern.p[0] == '[')
		pattern = span_first(span_from(pattern, 1), pattern.n - 2);
	while ((item = span_word(&pattern, ";")).n > 0) {
		const char *dots = memmem(item.p, item.n, "..", 2);

		low = dots != NULL ? span_first(item, (size_t)(dots - item.p)) : item;
		high = dots != NULL ? span_from(item, (size_t)(dots - item.p) + 2) : item;
		if (span_u64(low, 255, &from) && span_u64(high, 255, &to) && value >= from &&
		    value <= to)
			return true;
	}
	return false;
}

/* The next part of a pattern: to a dot that is neither in brackets nor part of "..". */
static struct span next_part(struct span *pattern)
{
	size_t end = 0;
	int depth = 0;

	for (; end < pattern->n; end++) {
		depth += pattern->p[end] == '[' ? 1 : pattern->p[end] == ']' ? -1 : 0;
		if (depth == 0 && pattern->p[end] == '.')
			break;
	}

	struct span part = span_first(*pattern, end);

	*pattern = span_from(*pattern, end + 1);
	return part;
}

static bool answer_matches(struct span pattern, struct span address)
{
	if (pattern.n == 0)
		return true;
	for (int i = 0; i < 4; i++) {
		struct span number = span_word(&address, ".");
		uint64_t value;

		if (!span_u64(number, 255, &value) || !part_matches(next_part(&pattern), value))
			return false;
	}
	return true;
}

/* Asks PREFIX.LIST; the list may have an answer pattern behind "=". */
static enum listing look_up(struct span prefix, struct span list, struct buf *ret_reason)
{
	struct span zone = list, pattern = { 0 };
	struct buf name = BUF_INIT(512);
	struct dns_result result = { 0 };
	enum listing listing = NOT_LISTED;
	enum dns_status status;

	(void)span_cut(list, '=', &zone, &pattern);
	(void)buf_printf(&name, "%.*s.%.*s", SPAN_ARG(prefix), SPAN_ARG(zone));
	status = dns_lookup(buf_span(&name), DNS_A, 0, clock_in_ms(LOOKUP_MS), &result);
	if (status == DNS_TEMPORARY) {
		log_warn("%s: RBL lookup error: %s", buf_str(&name), result.reason);
		listing = LISTING_FAILED;
	}
	for (size_t i = 0; status == DNS_FOUND && i < result.count; i++)
		if (answer_matches(pattern, result.records[i].host))
			listing = IS_LISTED;
	if (listing == IS_LISTED && ret_reason != NULL &&
	    dns_lookup(buf_span(&name), DNS_TXT, 0, clock_in_ms(LOOKUP_MS), &result) == DNS_FOUND &&
	    result.count > 0)
		(void)buf_add(ret_reason, result.records[0].data);
	dns_result_done(&result);
	buf_done(&name);
	return listing;
}

/* "192.0.2.1" as 1.2.0.192; the PTR name has it in front of its suffix. */
static bool reversed_address(const struct session *s, struct buf *out)
{
	struct span name;

	if (!dns_reverse_name(span_of(s->peer.addr), out))
		return false;
	name = buf_span(out);
	buf_truncate(out, name.n - (span_ends_nocase(name, SPAN(".in-addr.arpa")) ? 13 : 9));
	return true;
}

/* What was listed where. */
struct listed {
	const char *class; /* "Client host" */
	struct span what;  /* address, name, or mail address whose domain is listed */
	struct span zone;  /* the list, without its answer pattern */
	struct span reason;
};

/* The template for a list, from rbl_reply_maps or for all. False: a table failed. */
static bool find_template(struct check *check, struct span zone, struct span *ret)
{
	*ret = span_of(conf->default_rbl_reply);
	if (maps_is_empty(tables.rbl_replies))
		return true;
	return maps_find(tables.rbl_replies, &check->session->lookup, zone, false, ret) !=
	       TABLE_ERROR;
}

/* "554 5.7.1 text" or "554 text"; false when it does not begin with a code of a refusal. */
static bool split_reply(struct span text, int *ret_code, char status[DSN_STATUS_SIZE],
			struct span *ret_text)
{
	uint64_t code;

	if (!span_u64(span_first(text, 3), 599, &code) || code < 400 || text.n < 4 ||
	    !ascii_is_blank(text.p[3]))
		return false;
	*ret_code = (int)code;
	dsn_split_for_code(span_trim(span_from(text, 4)), *ret_code, "7.1", status, ret_text);
	return true;
}

static enum verdict refuse_with(struct check *check, const struct listed *listed,
				struct span template, struct buf *out)
{
	char number[16], status[DSN_STATUS_SIZE];
	int code, digits = snprintf(number, sizeof(number), "%d", conf->maps_rbl_reject_code);
	const struct attribute extra[] = {
		{ "rbl_code", { number, (size_t)digits } },
		{ "rbl_class", span_of(listed->class) },
		{ "rbl_what", listed->what },
		{ "rbl_domain", listed->zone },
		{ "rbl_reason", listed->reason },
		{ "rbl_txt", listed->reason },
	};
	struct span text;

	if (!attributes_expand(out, template, check->session, check, extra, ARRAY_LEN(extra)) ||
	    !split_reply(buf_span(out), &code, status, &text)) {
		log_warn("reply for the list %.*s is malformed: %.*s", SPAN_ARG(listed->zone),
			 SPAN_ARG(template));
		return check_config_error(check);
	}
	return check_reject_plain(check, code, status, "%.*s", SPAN_ARG(text));
}

static enum verdict refuse_listed(struct check *check, struct listed *listed, struct span list)
{
	struct buf out = BUF_INIT(4096);
	struct span pattern, template;
	enum verdict verdict;

	listed->zone = list;
	(void)span_cut(list, '=', &listed->zone, &pattern);
	verdict = find_template(check, listed->zone, &template)
			  ? refuse_with(check, listed, template, &out)
			  : check_local_fault(check, maps_error(tables.rbl_replies));
	buf_done(&out);
	return verdict;
}

enum verdict reject_rbl_client(struct check *check, const struct restriction *restriction)
{
	struct buf name = BUF_INIT(512), reason = BUF_INIT(1000);
	enum verdict verdict = CHECK_DUNNO;

	if (reversed_address(check->session, &name) &&
	    look_up(buf_span(&name), restriction->text, &reason) == IS_LISTED) {
		struct listed listed = { "Client host", span_of(check->session->peer.addr),
					 SPAN(""),
					 span_of(log_clean(buf_span(&reason))) };

		verdict = refuse_listed(check, &listed, restriction->text);
	}
	buf_done(&name);
	buf_done(&reason);
	return verdict;
}

/* An allow list cannot make this machine a relay: what would be refused as such stays refused. */
static enum verdict permit_listed(struct check *check, const struct restriction *restriction,
				  struct span prefix)
{
	if (check->rcpt.n > 0 && permit_auth_destination(check, restriction) != CHECK_PERMIT)
		return CHECK_DUNNO;
	switch (look_up(prefix, restriction->text, NULL)) {
	case IS_LISTED: return CHECK_PERMIT;
	case NOT_LISTED: break;
	case LISTING_FAILED:
		/* It might have been allowed: what refuses later shall refuse for now. */
		return restrict_defer_if_reject(check, restriction);
	}
	return CHECK_DUNNO;
}

enum verdict permit_dnswl_client(struct check *check, const struct restriction *restriction)
{
	struct buf name = BUF_INIT(512);
	enum verdict verdict = CHECK_DUNNO;

	if (reversed_address(check->session, &name))
		verdict = permit_listed(check, restriction, buf_span(&name));
	buf_done(&name);
	return verdict;
}

enum verdict permit_rhswl_client(struct check *check, const struct restriction *restriction)
{
	const struct peer *peer = &check->session->peer;

	if (peer->name_status != PEER_OK)
		return CHECK_DUNNO;
	return permit_listed(check, restriction, span_of(peer->name));
}

static enum verdict reject_domain(struct check *check, const struct restriction *restriction,
				  struct span domain, const char *class, struct span what)
{
	struct buf reason = BUF_INIT(1000);
	enum verdict verdict = CHECK_DUNNO;

	if (domain.n > 0 && domain.p[0] != '[' &&
	    look_up(domain, restriction->text, &reason) == IS_LISTED) {
		struct listed listed = { class, what, SPAN(""),
					 span_of(log_clean(buf_span(&reason))) };

		verdict = refuse_listed(check, &listed, restriction->text);
	}
	buf_done(&reason);
	return verdict;
}

enum verdict reject_rhsbl_client(struct check *check, const struct restriction *restriction)
{
	const struct peer *peer = &check->session->peer;

	if (peer->name_status != PEER_OK)
		return CHECK_DUNNO;
	return reject_domain(check, restriction, span_of(peer->name), "Client host",
			     span_of(peer->name));
}

enum verdict reject_rhsbl_reverse_client(struct check *check, const struct restriction *restriction)
{
	const struct peer *peer = &check->session->peer;

	if (peer->reverse_status != PEER_OK)
		return CHECK_DUNNO;
	return reject_domain(check, restriction, span_of(peer->reverse_name),
			     "Unverified Client host", span_of(peer->reverse_name));
}

enum verdict reject_rhsbl_helo(struct check *check, const struct restriction *restriction)
{
	struct span name = buf_span(&check->session->helo);

	return reject_domain(check, restriction, name, "Helo command", name);
}

enum verdict reject_rhsbl_sender(struct check *check, const struct restriction *restriction)
{
	const struct transaction *mail = &check->session->mail;

	return reject_domain(check, restriction,
			     mail->is_open ? addr_split(mail->mail.sender).domain : SPAN(""),
			     "Sender address", mail->mail.sender);
}

enum verdict reject_rhsbl_rcpt(struct check *check, const struct restriction *restriction)
{
	return reject_domain(check, restriction, addr_split(check->rcpt).domain,
			     "Recipient address", check->rcpt);
}
