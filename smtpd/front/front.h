/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_FRONT_FRONT_H
#define SMTPD_FRONT_FRONT_H

/*
 * One connection on its way to a worker of smtpd, for the files of smtpd/front/ alone.
 *
 *     header ---> silent ---> waiting <---> parked
 *   (client.c)  (client.c)       |  \         |
 *                                v   \--------+--> 421 after a while
 *                              served (pool.c)
 *
 * A connection that came through a proxy starts with the proxy's header. A silent client has its
 * greeting and has not said a whole line yet. A waiting one wants a worker and will get the next
 * that is free; a parked one waits as well, but its network has its share of the workers.
 */

#include "base/event.h"
#include "base/list.h"
#include "ipc/channel.h"
#include "net/proxy.h"
#include "net/rates.h"
#include "smtpd/front/net_list.h"

/* All connections of what counts as one client; it lives as long as it has any. */
struct peer {
	char name[RATES_CLIENT_MAX];
	unsigned connected, served;
	struct list parked;
};

struct session;

struct client {
	struct list link;        /* of the silent, of the waiting, or of the parked of its peer */
	struct event_fd watch;   /* its socket, which is ours to close */
	struct event_timer timer;
	struct peer *peer;       /* NULL before its address is known */
	struct proxied *proxied; /* or NULL */
	struct session *session; /* with a worker, or NULL */
	struct ip_addr addr;
	uint16_t port;
	bool was_greeted, is_limited, is_parked;
	enum exemption exemption; /* by smtpd_client_event_limit_exceptions */
	unsigned peer_count, peer_rate;
};

/* What became of those that no worker heard of, since it was logged last. */
struct front_counts {
	unsigned hung_up, timed_out, made_room, waited_too_long;
};

extern struct front_counts front_counts;

/* ---- client.c: from the accept to the first line ---- */

void clients_setup(void);

/* A new connection; `fd` is taken over. */
void client_new(int fd);

/* The client's address is known now: limits, greeting, and on to wait for its first line. */
void client_arrived(struct client *client);

/* Says this 421 and closes: "421 CODE HOST Error: TEXT". */
void client_refuse(struct client *client, const char *status, const char *text);

void client_free(struct client *client);

/* "unknown[192.0.2.1]", as logged. Static. */
const char *client_text(const struct client *client);

/* The client that said nothing for longest makes room; false when there is none. */
bool clients_make_room(const char *status, const char *text);

bool clients_are_silent(void); /* any of them */

/* ---- peers.c: who counts as one client, and what it may do ---- */

void peers_setup(void);

struct peer *peer_enter(struct client *client);
void peer_leave(struct peer *peer);

/* Tells anvil of highest counts that it has not heard of; before the end. */
void peers_tell_peaks(void);

/*
 * Sets counts and exemption of a client that has just come. False when it is refused, which was
 * answered and logged; it is gone then.
 */
MUST_USE bool peers_admit(struct client *client);

/* ---- bans.c: clients whose logins failed ---- */

void bans_setup(void);

/* False when the client is banned; it was told and is gone. */
MUST_USE bool bans_admit(struct client *client);

/* ---- pool.c: the workers of smtpd ---- */

void pool_setup(void);

/* The client wants a worker. */
void pool_offer(struct client *client);

/* The client leaves, whatever pool.c knows of it. */
void pool_forget(struct client *client);

bool pool_is_waited_for(void); /* somebody waits */
void pool_refuse_all(const char *status, const char *text);

/* ---- pace.c: how many sessions may begin at once ---- */

/* A part of each session: whether it is one of those that began a moment ago. */
struct pace {
	struct list link;
	struct clock_mono end; /* from then on it is not */
	bool is_counted;
};

/* Before the jail: learns how many processors there are. */
void pace_prepare(void);

void pace_begin(struct pace *session, struct clock_mono now);
void pace_end(struct pace *session); /* harmless when it is not counted any more */

/* Whether one more may begin now; *ret_next: when it may, if nothing ends before. */
bool pace_allows(struct clock_mono now, struct clock_mono *ret_next);

/* ---- front.c ---- */

/* Something has changed: when the front drains and nobody is left that needs it, it ends. */
void front_check_end(void);

#endif
