/* SPDX-License-Identifier: MIT */
/*
 * Logins that a server has refused for good (535), so that they are not tried with each message until
 * the account is locked: postconf(5) smtp_sasl_auth_cache_name, smtp_sasl_auth_cache_time.
 *
 * As in relays.c the memory is a mapping that the template makes and its workers share. It has no
 * passwords: of server, name and password together there is a hash whose key is in no mapping. What a
 * server said is written before the slot is given its hash, and checked to be the same after it was
 * read. A worker that was taken over can make the others not log in, which it could by other means.
 */

#include "smtp.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "conf/conf.h"
#include "sasl/client.h"

enum { SLOTS = 64, TEXT_MAX = 500 };

/* The hash is zero while the slot is free, or is written. */
struct slot {
	_Atomic uint64_t hash;
	_Atomic int64_t until; /* microseconds of the monotonic clock */
	char text[TEXT_MAX];   /* the reply, cleaned; a NUL ends it */
};

static struct {
	struct slot *slots; /* NULL: nothing is remembered */
	struct siphash_key key;
} self;

void refusals_prepare(void)
{
	if (*conf->smtp_sasl_auth_cache_name == '\0')
		return;
	if (getrandom(&self.key, sizeof(self.key), 0) != (ssize_t)sizeof(self.key))
		fatal("getrandom: no random numbers");
	self.slots = mem_shared(SLOTS * sizeof(struct slot));
}

/* Of hashes: lengths are part of it, so that no two logins make the same text. */
static uint64_t hash_of(const struct sasl_login *login)
{
	const uint64_t parts[] = {
		siphash(&self.key, span_of(login->host)),
		siphash(&self.key, login->user),
		siphash(&self.key, login->password),
		login->port,
	};

	return siphash(&self.key, (struct span){ (const char *)parts, sizeof(parts) }) | 1;
}

bool refusals_find(const struct sasl_login *login, struct buf *ret_reply)
{
	uint64_t hash;

	if (self.slots == NULL)
		return false;
	hash = hash_of(login);
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &self.slots[i];
		char text[TEXT_MAX];

		if (atomic_load(&slot->hash) != hash ||
		    clock_mono_now().us >= atomic_load(&slot->until))
			continue;
		memcpy(text, slot->text, sizeof(text));
		text[sizeof(text) - 1] = '\0';
		if (atomic_load(&slot->hash) != hash)
			continue;
		buf_reset(ret_reply);
		(void)buf_text(ret_reply, log_clean_str(text));
		return true;
	}
	return false;
}

/* One that is free or over, or else the one that is over first; its hash is ours to set. */
static struct slot *take_slot(uint64_t hash)
{
	struct slot *best = NULL;

	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &self.slots[i];

		if (atomic_load(&slot->hash) == hash) {
			best = slot;
			break;
		}
		if (best == NULL || atomic_load(&slot->until) < atomic_load(&best->until))
			best = slot;
	}
	atomic_store(&best->hash, 0);
	return best;
}

void refusals_keep(const struct sasl_login *login, const struct smtp_reply *reply)
{
	struct span text = span_first(buf_span(&reply->text), TEXT_MAX - 1);
	struct slot *slot;
	uint64_t hash;

	if (self.slots == NULL || reply->code != 535)
		return;
	hash = hash_of(login);
	slot = take_slot(hash);
	memcpy(slot->text, text.p, text.n);
	slot->text[text.n] = '\0';
	atomic_store(&slot->until,
		     clock_mono_now().us + (int64_t)conf->smtp_sasl_auth_cache_time * 1000000);
	atomic_store(&slot->hash, hash);
}
