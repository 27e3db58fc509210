/* SPDX-License-Identifier: MIT */
/* Bans of addresses and networks; see bans.h. Runs in anvil and in the front of smtpd. */

#include "net/bans.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct ban {
	int64_t until_s;
	struct ip_net net;
};

static unsigned *counter(struct bans *bans, const struct ip_net *net)
{
	return net->addr.family == IP_V4 ? &bans->v4[net->prefix_bits] : &bans->v6[net->prefix_bits];
}

/* One text for each network: "192.0.2.1", "192.0.2.0/24". */
static struct span net_text(const struct ip_net *net, char text[BAN_TEXT_MAX])
{
	unsigned all_bits = net->addr.family == IP_V4 ? 32 : 128;
	struct ip_addr addr = net->addr;
	char name[IP_TEXT_MAX];

	ip_mask(&addr, net->prefix_bits);
	(void)ip_text(&addr, name);
	if (net->prefix_bits < all_bits)
		(void)snprintf(text, BAN_TEXT_MAX, "%s/%u", name, net->prefix_bits);
	else
		(void)snprintf(text, BAN_TEXT_MAX, "%s", name);
	return span_of(text);
}

bool bans_set(struct bans *bans, const struct ip_net *net, int64_t until_s)
{
	char text[BAN_TEXT_MAX];
	struct span key = net_text(net, text);
	struct ban *ban = htab_get(&bans->nets, key);

	if (ban == NULL) {
		if (bans->nets.count >= BANS_MAX)
			return false;
		ban = NEW(struct ban);
		ban->net = *net;
		(void)htab_put(&bans->nets, key, ban);
		(*counter(bans, net))++;
	}
	ban->until_s = until_s;
	return true;
}

bool bans_lift(struct bans *bans, const struct ip_net *net)
{
	char text[BAN_TEXT_MAX];
	struct ban *ban = htab_remove(&bans->nets, net_text(net, text));

	if (ban == NULL)
		return false;
	(*counter(bans, net))--;
	free(ban);
	return true;
}

int64_t bans_find(struct bans *bans, const struct ip_addr *addr, int64_t now_s,
		  char ret_net[BAN_TEXT_MAX])
{
	unsigned all_bits = addr->family == IP_V4 ? 32 : 128;
	struct ip_net net = { .addr = *addr };

	if (bans->nets.count == 0 || addr->family == IP_NONE)
		return 0;
	for (unsigned bits = 0; bits <= all_bits; bits++) {
		const struct ban *ban;

		net.prefix_bits = bits;
		if (*counter(bans, &net) == 0)
			continue;
		ban = htab_get(&bans->nets, net_text(&net, ret_net));
		if (ban != NULL && ban->until_s > now_s)
			return ban->until_s;
	}
	return 0;
}

void bans_expire(struct bans *bans, int64_t now_s)
{
	struct htab_slot *cursor = NULL;
	struct span key;
	void *value;

	while (htab_next(&bans->nets, &cursor, &key, &value)) {
		const struct ban *ban = value;

		if (ban->until_s <= now_s) {
			struct ip_net net = ban->net;

			(void)bans_lift(bans, &net);
		}
	}
}

bool bans_next(const struct bans *bans, struct htab_slot **cursor, struct span *ret_net,
	       int64_t *ret_until_s)
{
	void *value;

	if (!htab_next(&bans->nets, cursor, ret_net, &value))
		return false;
	*ret_until_s = ((const struct ban *)value)->until_s;
	return true;
}

void bans_done(struct bans *bans)
{
	htab_done(&bans->nets, free);
	*bans = (struct bans){ 0 };
}

/* ---- as text ---- */

void bans_line(struct buf *out, struct span net, int64_t until_s)
{
	(void)buf_printf(out, "%.*s %lld\n", SPAN_ARG(net), (long long)until_s);
}

bool bans_lines(const struct bans *bans, struct htab_slot **cursor, size_t limit_bytes,
		struct buf *out)
{
	struct span net;
	int64_t until_s;

	while (bans_next(bans, cursor, &net, &until_s)) {
		bans_line(out, net, until_s);
		if (out->length + BAN_LINE_MAX > limit_bytes)
			return true;
	}
	return false;
}

void bans_read(struct bans *bans, struct span text, int64_t now_s)
{
	struct buf reason = BUF_INIT(1000);
	struct span line;

	while (span_line(&text, &line) && span_trim(line).n > 0) {
		struct span rest = line, name = span_word(&rest, " ");
		struct ip_net net;
		uint64_t until_s;

		if (ip_net_parse(name, &net, &reason) &&
		    span_u64(span_trim(rest), INT64_MAX, &until_s)) {
			if ((int64_t)until_s > now_s)
				(void)bans_set(bans, &net, (int64_t)until_s);
			else
				(void)bans_lift(bans, &net);
		}
		buf_reset(&reason);
	}
	buf_done(&reason);
}
