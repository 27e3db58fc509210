/* SPDX-License-Identifier: MIT */
/*
 * Tells flush(8) which messages are deferred for a site of fast_flush_domains, for ETRN. It is
 * only a shortcut: what is lost here is still tried when its time comes.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "mail/addr.h"
#include "qmgr/qmgr.h"
#include "queue/verbs.h"
#include "table/match.h"

static struct match_list *domains;
static struct lookup lookup;

void flush_prepare(void)
{
	struct buf error = BUF_INIT(1000);

	domains = match_open("fast_flush_domains", span_of(conf->fast_flush_domains), MATCH_DOMAIN,
			     TABLE_FOLD | TABLE_IN_JAIL | MATCH_PARENTS, &error);
	if (domains == NULL)
		log_warn("%s", buf_str(&error));
	lookup_init(&lookup, true);
	buf_done(&error);
}

static void on_added(struct ask *ask, struct ipc_channel *answer)
{
	(void)answer;
	free(ask);
}

void flush_add(const struct message *message, struct span address)
{
	struct span domain = addr_split(address).domain;
	struct msg_queue_command command = { .verb = QUEUE_SITE_ADD,
					     .queue_id = span_of(message->id), .site = domain };

	/* A table that would have to be asked is left to flush(8), which looks again. */
	if (domains == NULL || match_is_empty(domains) || domain.n == 0 || domain.n > 500 ||
	    match_name(domains, &lookup, domain) == MATCH_NO)
		return;
	ask_send(NEW(struct ask), conf->flush_service_name, msg_queue_command_desc(), &command,
		 on_added);
}
