/* SPDX-License-Identifier: MIT */
/* Verbosity by peer; see debug_peer.h. Runs in smtpd, smtp and lmtp. Names are the peer's. */

#include "proc/debug_peer.h"

#include "base/log.h"
#include "base/words.h"
#include "conf/conf.h"
#include "table/match.h"

static struct {
	struct match_list *list;
	struct lookup lookup;
	int usual;
	bool is_raised;
} peers;

void debug_peer_prepare(void)
{
	struct buf error = BUF_INIT(1000);
	struct span with_parents = span_of(conf->parent_domain_matches_subdomains);
	unsigned flags = TABLE_FOLD | TABLE_IN_JAIL;

	if (words_have(with_parents, SPAN("debug_peer_list")))
		flags |= MATCH_PARENTS;
	peers.list = match_open("debug_peer_list", span_of(conf->debug_peer_list), MATCH_CLIENT,
				flags, &error);
	if (peers.list == NULL)
		fatal("%s", buf_str(&error));
	lookup_init(&peers.lookup, false);
	buf_done(&error);
}

bool debug_peer_check(struct span name, struct span address)
{
	if (match_is_empty(peers.list) || peers.is_raised)
		return false;
	lookup_reset(&peers.lookup);
	switch (match_client(peers.list, &peers.lookup, name, address)) {
	case MATCH_YES:
		peers.usual = log_verbosity();
		peers.is_raised = true;
		log_verbose(peers.usual + conf->debug_peer_level);
		return true;
	case MATCH_ERROR: log_warn("%s", match_error(peers.list)); break;
	case MATCH_NO:
	case MATCH_PENDING: break;
	}
	return false;
}

void debug_peer_restore(void)
{
	log_verbose(peers.usual);
	peers.is_raised = false;
}
