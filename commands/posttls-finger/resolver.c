/* SPDX-License-Identifier: MIT */
/*
 * The DNS for a command: the parts of dns(8) in this process, so that it works before there is a mail
 * system. Questions are asked one after the other. Runs as the caller; the servers of resolv.conf are
 * trusted as dns(8) trusts them.
 */

#include "base/event.h"
#include "commands/posttls-finger/finger.h"
#include "net/dns.h"
#include "services/dns/dns.h"

/* The answer of the last question: its texts are in use until the next. */
static struct answer *last;

static void on_answer(struct waiter *waiter, struct answer *answer)
{
	(void)waiter;
	last = answer;
}

static bool answer_question(const struct msg_dns_query *query, struct clock_mono deadline,
			    struct msg_dns_answer *ret_answer)
{
	struct waiter waiter = { .on_answer = on_answer };
	enum dns_type type = (enum dns_type)query->type;

	answer_drop(last);
	last = local_answer(query->name, type, query->flags);
	if (last == NULL)
		last = question_ask(query->name, type, &waiter);
	while (last == NULL && !clock_is_past(deadline))
		event_once(deadline);
	if (last == NULL) {
		question_forget(&waiter);
		return false;
	}
	*ret_answer = (struct msg_dns_answer){
		.rcode = last->rcode,
		.is_secure = last->is_secure && (query->flags & DNS_WANT_SECURE) != 0,
		.ttl_s = (uint32_t)(clock_poll_ms(last->expires) / 1000),
		.canonical_name = last->canonical,
		.records = last->records,
	};
	return true;
}

bool resolver_open(void)
{
	event_open();
	files_read();
	dns_answer_with(answer_question);
	return carrier_is_trusted();
}
