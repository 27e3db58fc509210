/* SPDX-License-Identifier: MIT */
#ifndef DNS_DNS_H
#define DNS_DNS_H

/*
 * The parts of the dns service:
 *
 *     dns.c        the program, its jail
 *     files.c      resolv.conf and hosts, read as root
 *     clients.c    connections of smtpd and smtp: questions in, answers out in the same order
 *     questions.c  what is being asked; several clients may wait for one question
 *     cache.c      answers by name and type, until their time to live is over
 *     local.c      answers that need no server: /etc/hosts, localhost
 *     carrier.c    c-ares: packets to the servers and back
 */

#include "base/clock.h"
#include "base/list.h"
#include "net/dns_wire.h"
#include "net/resolv_conf.h"

/* An answer that clients, the cache and questions share; counted, never changed. */
struct answer {
	unsigned uses;
	uint32_t rcode;
	bool is_secure;
	struct clock_mono expires;
	struct span canonical, records; /* in `bytes` */
	size_t size;
	char bytes[];
};

struct answer *answer_new(const struct dns_reply *reply, bool is_secure);
struct answer *answer_failure(uint32_t rcode);
struct answer *answer_share(struct answer *answer);
void answer_drop(struct answer *answer); /* NULL is fine */

/* ---- cache.c ---- */

/* `key` is made by question_key(). NULL when there is none that still holds; else shared. */
struct answer *cache_get(struct span key);
void cache_put(struct span key, struct answer *answer);

/* ---- files.c ---- */

/* Reads both files for the carrier and for `hosts`. One that is not there is empty; complaints are logged. */
void files_read(void);

/* ---- local.c ---- */

extern struct hosts hosts;

/* The answer from /etc/hosts or for localhost, or NULL when a server must be asked. */
struct answer *local_answer(struct span name, enum dns_type type, unsigned flags);

/* ---- questions.c ---- */

/* One who waits; embedded in the client's request. */
struct waiter {
	struct list link; /* in the question's list; in no list when nothing is waited for */
	void (*on_answer)(struct waiter *waiter, struct answer *answer);
};

/*
 * Asks. When the answer is at hand it is returned, shared; else NULL, and waiter->on_answer is
 * called later, once, unless question_forget() comes first.
 */
struct answer *question_ask(struct span name, enum dns_type type, struct waiter *waiter);
void question_forget(struct waiter *waiter);

/* ---- carrier.c ---- */

/* `packet` is empty when no server gave one; `failure` then says why (enum dns_failure). */
typedef void carrier_fn(void *context, struct span packet, enum dns_failure failure);

void carrier_prepare(const struct resolv_conf *conf);

/* Sends a question; `on_reply` may be called before it returns. */
void carrier_send(struct span packet, carrier_fn *on_reply, void *context);
bool carrier_is_trusted(void);

/* ---- clients.c ---- */

void client_new(int fd, const char *program);

#endif
