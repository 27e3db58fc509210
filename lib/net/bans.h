/* SPDX-License-Identifier: MIT */
#ifndef NET_BANS_H
#define NET_BANS_H

/*
 * Addresses and networks that are refused until some time of day. anvil decides and keeps them;
 * each front of smtpd has a copy to ask at every connection. Bounded: beyond the limit no ban is
 * added.
 */

#include "base/buf.h"
#include "base/clock.h"
#include "base/htab.h"
#include "base/ip.h"

enum ban_verb { BAN_LIST = 1, BAN_ADD, BAN_DELETE };

enum { BANS_MAX = 65536, BAN_TEXT_MAX = IP_TEXT_MAX + 12, BAN_LINE_MAX = 80 };

struct bans {
	struct htab nets;             /* text -> struct ban */
	unsigned v4[33], v6[129];     /* how many there are of each prefix length */
};

/*
 * Until `until_s`, seconds since 1970; an earlier ban of the same network is replaced. False: there
 * are too many.
 */
bool bans_set(struct bans *bans, const struct ip_net *net, int64_t until_s);

/* False: there was none. */
bool bans_lift(struct bans *bans, const struct ip_net *net);

/* The end of the ban that holds for this address, or 0. `ret_net` gets its text. */
int64_t bans_find(struct bans *bans, const struct ip_addr *addr, int64_t now_s,
		  char ret_net[BAN_TEXT_MAX]);

/* Forgets those that have ended. */
void bans_expire(struct bans *bans, int64_t now_s);

/* One after the other, in no order: start with *cursor = NULL. False behind the last. */
bool bans_next(const struct bans *bans, struct htab_slot **cursor, struct span *ret_net,
	       int64_t *ret_until_s);

void bans_done(struct bans *bans);

/* Bans as text are lines of "NET UNTIL"; UNTIL 0 says that there is none any more. */
void bans_line(struct buf *out, struct span net, int64_t until_s);

/* Appends lines, up to about `limit_bytes`, from *cursor on, as bans_next(). False: that was all. */
bool bans_lines(const struct bans *bans, struct htab_slot **cursor, size_t limit_bytes,
		struct buf *out);

/* Takes such lines, up to an empty one; a ban that has ended is lifted, what is no ban passed over. */
void bans_read(struct bans *bans, struct span text, int64_t now_s);

#endif
