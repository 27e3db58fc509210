/* SPDX-License-Identifier: MIT */
/*
 * What one client may do in a unit of time: postconf(5) smtpd_client_message_rate_limit and its
 * kin, smtpd_client_event_limit_exceptions. Connections are counted by the front, everything else
 * by anvil, over a connection that the worker keeps, and so are failed logins, whose client is banned
 * in the end: smtpd_auth_ban_limit. Without anvil there are no limits: mail
 * is not refused because a counter is away.
 */

#include "base/ip.h"
#include "base/log.h"
#include "conf/conf.h"
#include "proc/seldom.h"
#include "proc/service.h"
#include "smtpd/check.h"

enum { ANVIL_MS = 3000 };

static struct ipc_channel anvil = { .fd = -1, .passed_fd = -1 };

static bool is_exempt(struct session *s)
{
	if (s->exemption == EXEMPT_UNKNOWN)
		s->exemption = match_client(tables.event_exceptions, &s->lookup,
					    span_of(s->peer.name), span_of(s->peer.addr)) == MATCH_YES
				       ? EXEMPT_YES
				       : EXEMPT_NO;
	return s->exemption == EXEMPT_YES;
}

/* By what main.cf calls them. */
enum { ADVICE_COUNT = RATE_KINDS, ADVICE_SPACE, ADVICE_RCPTS, ADVICES };

static struct seldom *advised;

void limits_prepare(void)
{
	advised = seldom_new(ADVICES);
}

static void advise(size_t index, const char *parameter, int limit)
{
	if (seldom_is_due(advised, index))
		log_warn("a limit was reached that main.cf sets: %s = %d; clients that it is not for can be "
			 "named in smtpd_client_event_limit_exceptions", parameter, limit);
}

void limit_advise_space(void)
{
	if (seldom_is_due(advised, ADVICE_SPACE))
		log_warn("not enough free space in the queue: mail is refused until there are queue_minfree "
			 "= %lld bytes and one and a half times message_size_limit = %lld bytes",
			 (long long)conf->queue_minfree, (long long)conf->message_size_limit);
}

void limit_advise_rcpts(void)
{
	if (seldom_is_due(advised, ADVICE_RCPTS))
		log_warn("a limit was reached that main.cf sets: smtpd_recipient_limit = %d recipients of a "
			 "message", conf->smtpd_recipient_limit);
}

bool limit_connection(struct session *s)
{
	int limit = conf->smtpd_client_connection_count_limit;
	bool is_count = limit > 0 && s->offer.peer_count > (unsigned)limit;

	if (is_exempt(s))
		return false;
	log_warn("Connection %s limit exceeded: %u from %s for service %s",
		 is_count ? "concurrency" : "rate",
		 is_count ? s->offer.peer_count : s->offer.peer_rate, client_text(s), service.name);
	if (is_count)
		advise(ADVICE_COUNT, "smtpd_client_connection_count_limit", limit);
	else
		advise(RATE_CONNECTION, "smtpd_client_connection_rate_limit",
		       conf->smtpd_client_connection_rate_limit);
	reply_quietly(s, "421 4.7.0 %s Error: too many connections from %s", conf->myhostname,
		      s->peer.addr);
	return true;
}

static void reach_anvil(struct clock_mono deadline)
{
	if (!ipc_is_open(&anvil))
		ipc_attach(&anvil, service_connect("anvil", deadline));
}

/* One question; false when anvil did not answer. */
static bool ask(const struct msg_rate_event *event, unsigned *ret_count)
{
	struct clock_mono deadline = clock_in_ms(ANVIL_MS);
	struct msg_rate_count answer;

	reach_anvil(deadline);
	if (ipc_is_open(&anvil) && IPC_SEND(&anvil, rate_event, event, -1, deadline) == IPC_OK &&
	    IPC_EXPECT(&anvil, rate_count, &answer, deadline) == IPC_OK) {
		*ret_count = answer.count;
		return true;
	}
	ipc_close(&anvil);
	return false;
}

static int limit_of(enum rate_kind kind)
{
	switch (kind) {
	case RATE_MESSAGE: return conf->smtpd_client_message_rate_limit;
	case RATE_RECIPIENT: return conf->smtpd_client_recipient_rate_limit;
	case RATE_NEW_TLS: return conf->smtpd_client_new_tls_session_rate_limit;
	case RATE_AUTH: return conf->smtpd_client_auth_rate_limit;
	case RATE_CONNECTION:
	case RATE_KINDS: break;
	}
	return 0;
}

bool limit_is_passed(struct session *s, enum rate_kind kind)
{
	static const struct {
		const char *title, *parameter;
	} kinds[RATE_KINDS] = {
		[RATE_MESSAGE] = { "Message delivery request", "smtpd_client_message_rate_limit" },
		[RATE_RECIPIENT] = { "Recipient address", "smtpd_client_recipient_rate_limit" },
		[RATE_NEW_TLS] = { "New TLS session", "smtpd_client_new_tls_session_rate_limit" },
		[RATE_AUTH] = { "AUTH command", "smtpd_client_auth_rate_limit" },
	};
	int limit = limit_of(kind);
	char client[RATES_CLIENT_MAX];
	struct msg_rate_event event = { .kind = kind, .service = span_of(service.name) };
	struct ip_addr addr;
	unsigned count;

	if (limit == 0 || is_exempt(s) || !ip_parse(span_of(s->peer.addr), &addr))
		return false;
	rates_client(&addr, conf->smtpd_client_ipv4_prefix_length,
		     conf->smtpd_client_ipv6_prefix_length, client);
	event.client = span_of(client);
	/* Twice: anvil may have been started anew since the last question. */
	if (!ask(&event, &count) && !ask(&event, &count)) {
		log_warn("cannot reach the anvil service: the limits of clients are not applied");
		return false;
	}
	if (count <= (unsigned)limit)
		return false;
	log_warn("%s rate limit exceeded: %u from %s for service %s", kinds[kind].title, count,
		 client_text(s), service.name);
	advise(kind, kinds[kind].parameter, limit);
	return true;
}

/* ---- failed logins ---- */

static bool is_never_banned(struct session *s, const struct ip_addr *addr)
{
	return ip_is_loopback(addr) ||
	       match_client(tables.ban_exceptions, &s->lookup, span_of(s->peer.name),
			    span_of(s->peer.addr)) != MATCH_NO;
}

static bool tell_failure(const struct msg_login_failure *failure, bool *ret_is_banned)
{
	struct clock_mono deadline = clock_in_ms(ANVIL_MS);
	struct msg_status answer;

	reach_anvil(deadline);
	if (ipc_is_open(&anvil) &&
	    IPC_SEND(&anvil, login_failure, failure, -1, deadline) == IPC_OK &&
	    IPC_EXPECT(&anvil, status, &answer, deadline) == IPC_OK) {
		*ret_is_banned = answer.code != 0;
		return true;
	}
	ipc_close(&anvil);
	return false;
}

bool limit_failed_login(struct session *s)
{
	struct msg_login_failure failure = { .address = span_of(s->peer.addr) };
	struct ip_addr addr;
	bool is_banned = false;

	if (conf->smtpd_auth_ban_limit == 0 || !ip_parse(failure.address, &addr) ||
	    is_never_banned(s, &addr))
		return false;
	if (!tell_failure(&failure, &is_banned) && !tell_failure(&failure, &is_banned))
		log_warn("cannot reach the anvil service: failed logins are not counted");
	return is_banned;
}
