/* SPDX-License-Identifier: MIT */
/*
 * Where each recipient goes: transport and nexthop, by lib/route and what the message itself
 * says (redirection, content filter). Tables in this process answer at once; those behind the
 * proxy are asked, and the same recipient is tried again with the answer in the message's memo.
 */

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "conf/conf.h"
#include "ipc/table_client.h"
#include "mail/addr.h"
#include "mail/probe_sender.h"
#include "qmgr/qmgr.h"
#include "queue/envelope.h"
#include "route/site.h"

enum { RCPTS_A_TURN = 100 };

static struct site site, probe_site;
static struct route found;
static struct list turn; /* messages that go on at the next turn */
static struct event_timer turn_timer;

void resolve_prepare(void)
{
	table_client_setup();
	site_open(&site, TABLE_IN_JAIL);
	site_open_for_probes(&probe_site, TABLE_IN_JAIL);
	route_init(&found);
	list_init(&turn);
}

static void set_route(struct portion *portion, struct rcpt *rcpt, const char *transport,
		      struct span nexthop)
{
	rcpt->transport = transport_get(span_of(transport));
	rcpt->nexthop = arena_span(&portion->arena, nexthop);
}

static void set_retry(struct portion *portion, struct rcpt *rcpt, const char *text)
{
	set_route(portion, rcpt, "retry", span_of(text));
}

/* "transport:nexthop" of a content filter; without a nexthop it is the recipient's domain. */
static void set_filter(struct portion *portion, struct rcpt *rcpt, struct span filter)
{
	struct span transport = filter, nexthop = { NULL, 0 };

	(void)span_cut(filter, ':', &transport, &nexthop);
	if (nexthop.n == 0)
		nexthop = span_of(conf->default_filter_nexthop);
	if (nexthop.n == 0)
		nexthop = addr_split(rcpt->address).domain;
	if (nexthop.n == 0)
		nexthop = span_of(conf->myhostname);
	rcpt->target = rcpt->address;
	rcpt->transport = transport_get(transport);
	rcpt->nexthop = arena_span(&portion->arena, nexthop);
}

/*
 * A notification to the postmaster that cannot be delivered would go round for ever; and nobody
 * reads what is sent to the sender of address probes.
 */
static bool is_lost_notice(const struct route *route)
{
	struct span address = buf_span(&route->recipient);

	return (route->class == ROUTE_CLASS_LOCAL &&
		span_is_nocase(addr_split(address).local, conf->double_bounce_sender)) ||
	       probe_sender_is(address, span_of(conf->address_verify_sender),
			       span_of(conf->myorigin), conf->address_verify_sender_ttl,
			       clock_wall_now());
}

static void take_route(struct portion *portion, struct rcpt *rcpt)
{
	if (conf->helpful_warnings && found.warning.length > 0)
		log_warn("%s", log_clean(buf_span(&found.warning)));
	rcpt->target = arena_span(&portion->arena, buf_span(&found.recipient));
	if (is_lost_notice(&found)) {
		outcomes_discard(portion, rcpt, "undeliverable postmaster notification discarded");
		return;
	}
	set_route(portion, rcpt, buf_str(&found.transport), buf_span(&found.nexthop));
}

/* Transports that are stopped: their recipients go to the retry service, which defers them. */
static void divert(struct portion *portion, struct rcpt *rcpt)
{
	struct transport *transport = rcpt->transport;
	char *text;

	if (transport->is_deferred) {
		set_retry(portion, rcpt, "4.3.2 deferred transport");
	} else if (transport->is_dead && strcmp(transport->name, "retry") != 0) {
		text = mem_printf("%s %s", transport->dead_status, transport->dead_reason);
		set_retry(portion, rcpt, text);
		free(text);
	}
}

/* False when a table has to be asked first. */
static bool resolve_one(struct portion *portion, struct rcpt *rcpt)
{
	struct message *message = portion->message;
	const struct msg_envelope *envelope = &message->envelope;
	struct span address = rcpt->address;
	bool is_verify = (envelope->flags & (ENVELOPE_VERIFY_ONLY | ENVELOPE_PROBE)) != 0;
	struct site *routing = (envelope->flags & ENVELOPE_PROBE) != 0 ? &probe_site : &site;

	if (envelope->redirect_to.n > 0) {
		/* One recipient takes the place of all. */
		if (message->is_redirected) {
			rcpt_settle(portion, rcpt);
			return true;
		}
		address = envelope->redirect_to;
	}
	if ((envelope->flags & ENVELOPE_PROBE) != 0 &&
	    probes_in_memory > (size_t)conf->address_verify_pending_request_limit) {
		rcpt->target = address;
		set_retry(portion, rcpt, "4.3.2 Too many address verification requests");
		divert(portion, rcpt);
		return true;
	}
	if (envelope->content_filter.n > 0 && !is_verify) {
		set_filter(portion, rcpt, envelope->content_filter);
		divert(portion, rcpt);
		return true;
	}
	switch (site_resolve(routing, &message->lookup, envelope->sender, address, &found)) {
	case ROUTE_PENDING:
		return false;
	case ROUTE_OK:
		take_route(portion, rcpt);
		break;
	case ROUTE_ERROR:
	case ROUTE_NOT_FOUND:
		if (conf->helpful_warnings && found.warning.length > 0)
			log_warn("%s", log_clean(buf_span(&found.warning)));
		rcpt->target = address;
		set_retry(portion, rcpt, "4.3.0 address resolver failure");
		break;
	}
	message->is_redirected = envelope->redirect_to.n > 0;
	if (!rcpt->is_settled)
		divert(portion, rcpt);
	return true;
}

/* ---- tables behind the proxy ---- */

static void resolve_go_on(struct message *message);

static void on_table_answer(struct ask *ask, struct ipc_channel *channel)
{
	struct message *message = CONTAINER_OF(ask, struct message, table_ask);
	struct msg_table_answer answer = { .status = TABLE_ERROR,
					   .error = SPAN("proxymap does not answer") };

	message->is_asking_table = false;
	if (channel != NULL && !IPC_GET(channel, table_answer, &answer))
		answer.status = TABLE_ERROR;
	if (answer.status > TABLE_ERROR)
		answer.status = TABLE_ERROR;
	lookup_memo_set(&message->lookup, buf_str(&message->lookup.need.table),
			buf_span(&message->lookup.need.key), (enum table_status)answer.status,
			answer.status == TABLE_FOUND ? answer.value : answer.error);
	resolve_go_on(message);
}

static void ask_table(struct message *message)
{
	struct msg_table_request request = {
		.verb = TABLE_VERB_LOOKUP,
		.table = buf_span(&message->lookup.need.table),
		.flags = message->lookup.need.flags,
		.key = buf_span(&message->lookup.need.key),
	};

	message->is_asking_table = true;
	ask_send(&message->table_ask, conf->proxymap_service_name, msg_table_request_desc(),
		 &request, on_table_answer);
}

/* ---- taking turns ---- */

static void on_turn(struct event_timer *timer)
{
	struct list now = { .next = NULL };

	(void)timer;
	list_init(&now);
	while (!list_is_empty(&turn)) {
		struct list *first = turn.next;

		list_remove(first);
		list_append(&now, first);
	}
	while (!list_is_empty(&now)) {
		struct message *message = CONTAINER_OF(now.next, struct message, resolve_link);

		list_remove(&message->resolve_link);
		resolve_go_on(message);
	}
}

static void wait_for_turn(struct message *message)
{
	list_append(&turn, &message->resolve_link);
	if (!event_is_set(&turn_timer))
		event_at(&turn_timer, clock_in_ms(0), on_turn);
}

static struct portion *unresolved_portion(struct message *message)
{
	LIST_FOR(item, &message->portions) {
		struct portion *portion = CONTAINER_OF(item, struct portion, link);

		if (portion->resolved < portion->count)
			return portion;
	}
	return NULL;
}

static void resolve_go_on(struct message *message)
{
	struct portion *portion;
	size_t done = 0;

	if (message->is_leaving) {
		message_progress(message);
		return;
	}
	while ((portion = unresolved_portion(message)) != NULL) {
		if (done++ == RCPTS_A_TURN) {
			wait_for_turn(message);
			return;
		}
		if (!resolve_one(portion, &portion->rcpts[portion->resolved])) {
			ask_table(message);
			return;
		}
		if (++portion->resolved == portion->count)
			schedule_portion(portion);
	}
	lookup_reset(&message->lookup);
	message->state = MESSAGE_DELIVERING;
	message_progress(message);
}

void resolve_start(struct message *message)
{
	message->state = MESSAGE_RESOLVING;
	resolve_go_on(message);
}
