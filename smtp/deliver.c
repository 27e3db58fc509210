/* SPDX-License-Identifier: MIT */
/*
 * One request: target after target, host after host, until every recipient has an outcome. A
 * session stays open behind a message for smtp_connection_cache_time_limit: qmgr gives this worker
 * the next message for the same destination, if there is one.
 */

#include "tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"
#include "base/words.h"
#include "conf/conf.h"
#include "proc/debug_peer.h"
#include "queue/envelope.h"

/* What a table or a policy of MTA-STS may say, and some words about it. */
enum { POLICY_TEXT_MAX = STS_POLICY_MAX + 1024 };

/* The one session of this worker. */
static struct session session = { .stream = { .fd = -1 } };

void deliver_idle(void)
{
	session_end(&session);
}

/* ---- sessions ---- */

/* When there is demand, or always for smtp_connection_cache_destinations. */
static bool may_keep(const struct transfer *transfer, struct span target)
{
	struct span rest = span_of(conf->smtp_connection_cache_destinations), word;

	if (conf->smtp_connection_cache_on_demand &&
	    (transfer->delivery->request.flags & DELIVER_MORE) != 0)
		return true;
	while ((word = span_word(&rest, WORDS_BLANK_OR_COMMA)).n > 0)
		if (span_eq_nocase(word, target))
			return true;
	return false;
}

/* After a message: the session is kept for the next one, or ends. */
static void put_away(struct transfer *transfer)
{
	if (transfer->left > 0 || !session_may_stay(&session) ||
	    !may_keep(transfer, buf_span(&session.target)))
		session_end(&session);
}

/* What came before was setting the connection up: delays= in the log has both. */
static void begin_transfer(struct transfer *transfer)
{
	transfer->is_reached = true;
	transfer->delivery->connected = clock_wall_now();
}

/* Whether what was wanted of TLS when the session began is what is wanted now. */
static bool has_same_policy(struct transfer *transfer, const struct target *target)
{
	struct buf text = BUF_INIT(POLICY_TEXT_MAX);
	bool is_same = policy_find(transfer, target, session.knows_sts, &text) &&
		       span_eq(buf_span(&text), buf_span(&session.policy));

	buf_done(&text);
	return is_same;
}

/* Tries the session that was kept. True: its host, session.addr, has had its say. */
static bool try_kept(struct transfer *transfer, const struct target *target, bool is_last_target)
{
	if (!session.is_open)
		return false;
	/* A server that speaks unasked says 421; one that has gone reads as end of file. */
	if (!span_eq(buf_span(&session.target), target->text) || !has_same_policy(transfer, target) ||
	    session.is_tls_optional != transfer->is_tls_optional ||
	    !requiretls_fits(&session, transfer) ||
	    !session_may_stay(&session) ||
	    !stream_is_quiet(&session.stream)) {
		session.is_broken = session.is_broken || session.stream.status != IO_OK;
		session_end(&session);
		return false;
	}
	transfer->is_last_host = is_last_target && !session.has_others;
	/* That it has ended says nothing of its TLS. */
	session.is_tls_a_wish = false;
	begin_transfer(transfer);

	bool is_debugged = debug_peer_check(span_of(session.host), session_address(&session));

	bool was_alive = transaction_run(&session, transfer);

	put_away(transfer);
	if (is_debugged)
		debug_peer_restore();
	return was_alive;
}

/* False: may be tried again, with a policy of level none. */
static bool converse(struct transfer *transfer, const struct target *target,
		     const struct host *host, const struct policy *policy, int fd)
{
	enum start start;

	session_set_names(&session, target, host);
	buf_init(&session.policy, POLICY_TEXT_MAX);
	/* Where DANE decides nobody has asked, and nobody shall wait for it now. */
	session.knows_sts = transfer->sts_target == target;
	(void)!policy_find(transfer, target, session.knows_sts, &session.policy);
	session.addr = host != NULL ? host->addr : (struct ip_addr){ 0 };
	transfer->delivery->connected = (struct clock_wall){ 0 };
	transfer->wants_plain = false;

	bool is_debugged = debug_peer_check(span_of(session.host), session_address(&session));

	start = session_start(&session, transfer, policy, fd);
	if (start == START_WELL) {
		begin_transfer(transfer);
		(void)transaction_run(&session, transfer);
		put_away(transfer);
	}
	if (is_debugged)
		debug_peer_restore();
	return start != START_PLAIN && !transfer->wants_plain;
}

/* A new connection in clear text, behind one whose TLS came to nothing. */
static void converse_plain(struct transfer *transfer, const struct target *target,
			   const struct host *host, enum level wanted)
{
	struct policy plain = { .level = LEVEL_NONE, .wanted = wanted };
	int fd = connect_host(host, &transfer->why);

	if (fd >= 0)
		(void)converse(transfer, target, host, &plain, fd);
}

/* ---- hosts of a target ---- */

static bool is_limit(size_t count, int limit)
{
	return limit > 0 && count >= (size_t)limit;
}

/* A relay of the configuration that is not there is no reason to return mail. */
static void excuse(struct transfer *transfer, const struct target *target)
{
	struct why *why = &transfer->why;
	bool is_relayhost = span_eq(transfer->delivery->request.nexthop, span_of(conf->relayhost));

	if (why->status[0] != '5' || (!target->is_fallback && !is_relayhost))
		return;
	log_warn("%s configuration problem: %s",
		 !target->is_fallback ? "relayhost"
		 : is_lmtp	      ? "lmtp_fallback_relay"
				      : "smtp_fallback_relay",
		 log_clean(buf_span(&why->reason)));
	(void)snprintf(why->status, sizeof(why->status), "4.3.5");
}

/* Without the host that a kept session led to. */
static void drop_tried(struct hosts *hosts)
{
	size_t count = 0;

	for (size_t i = 0; i < hosts->count; i++)
		if (!ip_equal(&hosts->list[i].addr, &session.addr))
			hosts->list[count++] = hosts->list[i];
	hosts->count = count;
}

/* Whether a message that `host` puts off may be tried elsewhere, when that comes first. */
static bool has_others(const struct hosts *hosts, const struct host *host)
{
	if (is_limit(1, conf->smtp_mx_address_limit) || is_limit(1, conf->smtp_mx_session_limit))
		return false;
	for (size_t i = 0; i < hosts->count; i++)
		if (!ip_equal(&hosts->list[i].addr, &host->addr))
			return true;
	return false;
}

static void try_hosts(struct transfer *transfer, const struct target *target, bool was_tried,
		      bool is_last_target)
{
	struct hosts hosts;
	size_t addresses = was_tried, sessions = was_tried;

	if (!hosts_find(transfer, target, &hosts)) {
		excuse(transfer, target);
		return;
	}
	if (was_tried)
		drop_tried(&hosts);
	for (size_t i = 0; i < hosts.count && transfer->left > 0; i++) {
		const struct host *host = &hosts.list[i];
		struct policy policy;
		int fd;

		if (is_limit(addresses, conf->smtp_mx_address_limit) ||
		    is_limit(sessions, conf->smtp_mx_session_limit))
			return;
		addresses++;
		if (!policy_make(transfer, target, host, &policy)) {
			report_host(host, &policy);
			continue;
		}
		if (!requiretls_permits(transfer, host, &policy))
			continue;
		fd = connect_host(host, &transfer->why);
		if (fd < 0)
			continue;
		transfer->is_last_host =
			is_last_target &&
			(i + 1 == hosts.count || is_limit(addresses, conf->smtp_mx_address_limit) ||
			 is_limit(sessions + 1, conf->smtp_mx_session_limit));
		session.has_others = was_tried || has_others(&hosts, host);
		session.is_best_mx = host->preference == hosts.best_preference;
		if (!converse(transfer, target, host, &policy, fd))
			converse_plain(transfer, target, host, policy.wanted);
		sessions++;
	}
}

static void try_unix(struct transfer *transfer, const struct target *target, bool is_last_target)
{
	struct policy policy;
	int fd;

	if (!policy_make(transfer, target, NULL, &policy) ||
	    !requiretls_permits(transfer, NULL, &policy))
		return;
	fd = connect_unix(target, transfer->delivery->request.nexthop_seal, &transfer->why);
	transfer->is_last_host = is_last_target;
	session.has_others = false;
	session.is_best_mx = true;
	if (fd >= 0)
		(void)converse(transfer, target, NULL, &policy, fd);
}

static void try_target(struct transfer *transfer, const struct target *target, bool is_last_target)
{
	bool was_tried, is_well;

	if (!requiretls_find(transfer, target))
		return;
	transfer->is_reached = transfer->has_taken = false;
	transfer->is_in_trouble = transfer->is_unfit = false;
	was_tried = try_kept(transfer, target, is_last_target);
	if (transfer->left > 0 && !target->is_unix)
		try_hosts(transfer, target, was_tried, is_last_target);
	else if (transfer->left > 0 && !was_tried)
		try_unix(transfer, target, is_last_target);
	is_well = transfer->has_taken || (transfer->is_reached && !transfer->is_in_trouble);
	if (is_well || !transfer->is_unfit)
		relays_note(transfer, target, is_well);
}

/* ---- targets ---- */

static void add_targets(struct transfer *transfer, struct target *targets, size_t *count,
			struct span list, bool is_fallback)
{
	struct span copy = arena_span(&transfer->delivery->arena, list);

	while (target_next(&copy, &targets[*count]))
		targets[(*count)++].is_fallback = is_fallback;
}

/* What no other host can change: the domain takes no mail, or we are the one to take it. */
static bool is_verdict(const struct transfer *transfer)
{
	return transfer->is_own_backup || transfer->is_unwanted;
}

static void try_targets(struct transfer *transfer)
{
	struct span nexthop = transfer->delivery->request.nexthop;
	struct span fallback = span_of(conf->smtp_fallback_relay);
	size_t most = nexthop.n / 2 + fallback.n / 2 + 2, count = 0, first_fallback;
	struct target *targets =
		arena_alloc(&transfer->delivery->arena, most * sizeof(struct target));

	add_targets(transfer, targets, &count, nexthop, false);
	relays_order(&transfer->delivery->arena, targets, count);
	first_fallback = count;
	add_targets(transfer, targets, &count, fallback, true);
	relays_order(&transfer->delivery->arena, targets + first_fallback, count - first_fallback);
	if (count == 0)
		why_set(&transfer->why, "4.3.5", "no destination to deliver to");
	for (size_t i = 0; i < count && transfer->left > 0; i++) {
		if (targets[i].is_fallback && is_verdict(transfer))
			return;
		try_target(transfer, &targets[i], i + 1 == count);
		transfer->is_put_off |= transfer->why.status[0] == '4';
	}
}

/* ---- mail for this machine that was not known to be ---- */

/* best_mx_transport: "transport" or "transport:nexthop". The agent there reports and logs. */
static void pass_to_best_mx(struct transfer *transfer)
{
	struct delivery *delivery = transfer->delivery;
	struct span transport = span_of(conf->best_mx_transport), nexthop = { NULL, 0 };
	struct span rest;

	if (span_cut(transport, ':', &rest, &nexthop))
		transport = rest;
	for (size_t i = 0; i < delivery->rcpt_count; i++) {
		if (transfer->states[i] != STATE_LEFT)
			continue;
		(void)deliver_pass(delivery, &delivery->rcpts[i],
				   arena_str(&delivery->arena, transport),
				   nexthop.n > 0 ? nexthop : delivery->request.nexthop,
				   delivery->request.sender);
		transfer->states[i] = STATE_REPORTED;
		transfer->left--;
	}
}

/* ---- the request ---- */

/* Whether the message can go only to a server with SMTPUTF8 (RFC 6531 3.2). */
static bool needs_utf8(const struct transfer *transfer)
{
	const struct queue_header *header = &transfer->delivery->header;

	if ((header->flags & ENVELOPE_SMTPUTF8) == 0)
		return false;
	if ((header->content & CONTENT_HEAD_8BIT) != 0 || utf8_has_8bit(transfer->sender))
		return true;
	for (size_t i = 0; i < transfer->delivery->rcpt_count; i++)
		if (utf8_has_8bit(transfer->rcpt_addresses[i]))
			return true;
	return false;
}

void deliver_message(struct delivery *delivery)
{
	struct transfer transfer = { .delivery = delivery, .left = delivery->rcpt_count };

	why_init(&transfer.why);
	transfer.states = arena_alloc(&delivery->arena, (delivery->rcpt_count + 1) *
								sizeof(enum rcpt_state));
	if (content_prepare(&transfer) && generic_envelope(&transfer)) {
		transfer.needs_utf8 = needs_utf8(&transfer);
		try_targets(&transfer);
		if (transfer.is_own_best && *conf->best_mx_transport != '\0')
			pass_to_best_mx(&transfer);
		if (transfer.left > 0)
			fail_rest(&transfer);
	} else {
		transfer.is_last_host = true;
		fail_message(&transfer, NULL);
	}
	buf_done(&transfer.head);
	why_done(&transfer.why);
}
