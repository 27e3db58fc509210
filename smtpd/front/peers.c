/* SPDX-License-Identifier: MIT */
/*
 * What counts as one client, how many connections it has and makes, and the limits on that:
 * postconf(5) smtpd_client_connection_count_limit, _rate_limit, _event_limit_exceptions,
 * _ipv4_prefix_length, _ipv6_prefix_length. The highest counts are told to anvil, which logs them.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/htab.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "proc/seldom.h"
#include "proc/service.h"
#include "smtpd/front/front.h"

enum { RATE_CLIENTS_MAX = 65536, PEAKS_PAUSE_MS = 250 };

static struct {
	struct htab peers; /* those connected now */
	struct rates rates;
	struct net_list exceptions;
	struct ipc_channel anvil;
	struct peak {
		unsigned count;
		char client[RATES_CLIENT_MAX];
		bool is_news; /* to anvil */
	} peaks[RATE_PEAKS];
	struct clock_mono peaks_end; /* then they begin anew */
	struct event_timer peaks_told;
	struct seldom *advised;
} self;

void peers_setup(void)
{
	rates_init(&self.rates, RATE_CLIENTS_MAX, (int64_t)conf->anvil_rate_time_unit * 1000);
	ipc_attach(&self.anvil, -1);
	self.advised = seldom_new(2);
	self.exceptions = net_list_parse(span_of(conf->smtpd_client_event_limit_exceptions));
}

struct peer *peer_enter(struct client *client)
{
	char name[RATES_CLIENT_MAX];
	struct peer *peer;

	rates_client(&client->addr, conf->smtpd_client_ipv4_prefix_length,
		     conf->smtpd_client_ipv6_prefix_length, name);
	peer = htab_get(&self.peers, span_of(name));
	if (peer == NULL) {
		peer = NEW(struct peer);
		(void)snprintf(peer->name, sizeof(peer->name), "%s", name);
		list_init(&peer->parked);
		(void)htab_put(&self.peers, span_of(name), peer);
	}
	peer->connected++;
	return peer;
}

void peer_leave(struct peer *peer)
{
	if (--peer->connected > 0)
		return;
	(void)htab_remove(&self.peers, span_of(peer->name));
	free(peer);
}

/* ---- the highest counts ---- */

static bool send_peak(const struct msg_rate_peak *peak)
{
	return IPC_SEND(&self.anvil, rate_peak, peak, -1, clock_in_ms(0)) == IPC_OK;
}

/* Tells anvil. What cannot be told at once is not worth waiting for. */
static void tell_peak(unsigned kind)
{
	struct peak *peak = &self.peaks[kind];
	struct msg_rate_peak message = { .kind = kind, .count = peak->count,
					 .service = span_of(service.name),
					 .client = span_of(peak->client) };

	peak->is_news = false;
	if (ipc_is_open(&self.anvil) && send_peak(&message))
		return;
	ipc_close(&self.anvil);
	ipc_attach(&self.anvil, service_connect("anvil", clock_in_ms(0)));
	if (ipc_is_open(&self.anvil) && !send_peak(&message))
		ipc_close(&self.anvil);
}

void peers_tell_peaks(void)
{
	event_cancel(&self.peaks_told);
	for (unsigned kind = 0; kind < RATE_PEAKS; kind++)
		if (self.peaks[kind].is_news)
			tell_peak(kind);
}

static void on_peaks_due(struct event_timer *timer)
{
	(void)timer;
	peers_tell_peaks();
}

/*
 * A busy client makes a new highest count with each connection: anvil hears of
 * the last one, a few times a second.
 */
static void note_peak(unsigned kind, unsigned count, const struct peer *peer)
{
	struct peak *peak = &self.peaks[kind];

	if (clock_is_past(self.peaks_end)) {
		peers_tell_peaks();
		for (size_t i = 0; i < RATE_PEAKS; i++)
			self.peaks[i].count = 0;
		self.peaks_end = clock_in_ms((int64_t)conf->anvil_status_update_time * 1000);
	}
	if (count <= peak->count)
		return;
	peak->count = count;
	(void)snprintf(peak->client, sizeof(peak->client), "%s", peer->name);
	peak->is_news = true;
	if (!event_is_set(&self.peaks_told))
		event_at(&self.peaks_told, clock_in_ms(PEAKS_PAUSE_MS), on_peaks_due);
}

/* ---- limits ---- */

static void refuse(struct client *client, bool is_many)
{
	unsigned count = is_many ? client->peer_count : client->peer_rate;
	char text[128], addr[IP_TEXT_MAX];

	(void)ip_text(&client->addr, addr);
	/* The lines that smtpd writes in such a session. */
	log_info("connect from %s", client_text(client));
	log_warn("Connection %s limit exceeded: %u from %s for service %s",
		 is_many ? "concurrency" : "rate", count, client_text(client), service.name);
	log_info("disconnect from %s commands=0/0", client_text(client));
	if (seldom_is_due(self.advised, is_many))
		log_warn("a limit was reached that main.cf sets: %s = %d; clients that it is not for can be "
			 "named in smtpd_client_event_limit_exceptions",
			 is_many ? "smtpd_client_connection_count_limit"
				 : "smtpd_client_connection_rate_limit",
			 is_many ? conf->smtpd_client_connection_count_limit
				 : conf->smtpd_client_connection_rate_limit);
	(void)snprintf(text, sizeof(text), "too many connections from %s", addr);
	client_refuse(client, "4.7.0", text);
}

bool peers_admit(struct client *client)
{
	int count_limit = conf->smtpd_client_connection_count_limit;
	int rate_limit = conf->smtpd_client_connection_rate_limit;
	bool is_many, is_often;

	client->exemption = net_list_find(&self.exceptions, &client->addr);
	client->peer_count = client->peer->connected;
	client->peer_rate = rates_add(&self.rates, span_of(client->peer->name), RATE_CONNECTION,
				      clock_mono_now());
	note_peak(RATE_CONCURRENCY, client->peer_count, client->peer);
	note_peak(RATE_CONNECTION, client->peer_rate, client->peer);
	is_many = count_limit > 0 && client->peer_count > (unsigned)count_limit;
	is_often = rate_limit > 0 && client->peer_rate > (unsigned)rate_limit;
	if (client->exemption == EXEMPT_YES || (!is_many && !is_often))
		return true;
	if (client->exemption == EXEMPT_PERHAPS) {
		client->is_limited = true;
		return true;
	}
	refuse(client, is_many);
	return false;
}
