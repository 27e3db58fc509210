/* SPDX-License-Identifier: MIT */
/*
 * DNS block lists and allow lists: reject_rbl_client and its kin. "list.example=127.0.0.[2;4..6]"
 * counts only answers that match. RFC 5782; postconf(5) reject_rbl_client, default_rbl_reply.
 */

#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "mail/addr.h"
#include "net/dns.h"
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
	if (status == DNS_TEMPORARY)
		listing = LISTING_FAILED;
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

static enum verdict refuse_listed(struct check *check, enum subject subject, struct span list,
				  const struct buf *reason, const char *what)
{
	struct span zone = list, pattern;

	(void)span_cut(list, '=', &zone, &pattern);
	return check_reject_plain(check, conf->maps_rbl_reject_code, "5.7.1",
				  "Service unavailable; %s [%s] blocked using %.*s%s%s", what,
				  subject == SUBJECT_CLIENT ? check->session->peer.addr
							    : subject_text(check, subject),
				  SPAN_ARG(zone), reason->length > 0 ? "; " : "",
				  log_clean(buf_span(reason)));
}

enum verdict reject_rbl_client(struct check *check, const struct restriction *restriction)
{
	struct buf name = BUF_INIT(512), reason = BUF_INIT(1000);
	enum verdict verdict = CHECK_DUNNO;

	if (reversed_address(check->session, &name) &&
	    look_up(buf_span(&name), restriction->text, &reason) == IS_LISTED)
		verdict = refuse_listed(check, SUBJECT_CLIENT, restriction->text, &reason,
					"Client host");
	buf_done(&name);
	buf_done(&reason);
	return verdict;
}

enum verdict permit_dnswl_client(struct check *check, const struct restriction *restriction)
{
	struct buf name = BUF_INIT(512);
	enum verdict verdict = CHECK_DUNNO;

	if (reversed_address(check->session, &name)) {
		switch (look_up(buf_span(&name), restriction->text, NULL)) {
		case IS_LISTED: verdict = CHECK_PERMIT; break;
		case NOT_LISTED: break;
		case LISTING_FAILED:
			/* It might have been allowed: what refuses later shall refuse for now. */
			verdict = restrict_defer_if_reject(check, restriction);
			break;
		}
	}
	buf_done(&name);
	return verdict;
}

static enum verdict reject_domain(struct check *check, const struct restriction *restriction,
				  struct span domain, enum subject subject, const char *what)
{
	struct buf reason = BUF_INIT(1000);
	enum verdict verdict = CHECK_DUNNO;

	if (domain.n > 0 && domain.p[0] != '[' &&
	    look_up(domain, restriction->text, &reason) == IS_LISTED)
		verdict = refuse_listed(check, subject, restriction->text, &reason, what);
	buf_done(&reason);
	return verdict;
}

enum verdict reject_rhsbl_client(struct check *check, const struct restriction *restriction)
{
	const struct peer *peer = &check->session->peer;

	if (peer->name_status != PEER_OK)
		return CHECK_DUNNO;
	return reject_domain(check, restriction, span_of(peer->name), SUBJECT_CLIENT, "Client host");
}

enum verdict reject_rhsbl_reverse_client(struct check *check, const struct restriction *restriction)
{
	const struct peer *peer = &check->session->peer;

	if (peer->reverse_status != PEER_OK)
		return CHECK_DUNNO;
	return reject_domain(check, restriction, span_of(peer->reverse_name), SUBJECT_CLIENT,
			     "Unverified Client host");
}

enum verdict reject_rhsbl_helo(struct check *check, const struct restriction *restriction)
{
	return reject_domain(check, restriction, buf_span(&check->session->helo), SUBJECT_HELO,
			     "Helo command");
}

enum verdict reject_rhsbl_sender(struct check *check, const struct restriction *restriction)
{
	const struct transaction *mail = &check->session->mail;

	return reject_domain(check, restriction,
			     mail->is_open ? addr_split(mail->mail.sender).domain : SPAN(""),
			     SUBJECT_SENDER, "Sender address");
}

enum verdict reject_rhsbl_rcpt(struct check *check, const struct restriction *restriction)
{
	return reject_domain(check, restriction, addr_split(check->rcpt).domain, SUBJECT_RCPT,
			     "Recipient address");
}
