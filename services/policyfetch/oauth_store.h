/* SPDX-License-Identifier: MIT */
#ifndef SERVICES_POLICYFETCH_OAUTH_STORE_H
#define SERVICES_POLICYFETCH_OAUTH_STORE_H

/*
 * What the tokens of an account have come to, in the directory "oauth" of the jail: a file an account,
 * by its name, with one token_entry. The file is enciphered and sealed (AES-256-GCM) with a key that is
 * made of what the administrator's file says of the account: so the workers for MTA-STS, which see the
 * same directory and talk to strangers, can do nothing with it, and what the administrator changes voids
 * what was kept.
 */

#include "base/clock.h"
#include "ipc/messages.h"
#include "sasl/oauth.h"

enum { OAUTH_ENTRY_MAX = 24 * 1024 };

/* In prepare(), and in the jail before there are workers. */
void oauth_store_open(void);
void oauth_store_start(void);

/* False: nothing is kept, or nothing of use. Spans of *ret point into *wire. */
MUST_USE bool oauth_store_get(const struct oauth_account *account, struct buf *wire,
			      struct msg_token_entry *ret);

/*
 * Sees to it that oauth_store_put() will have room on the disk: what a server has said once it need not
 * say again. False, and errno: it would not have.
 */
MUST_USE bool oauth_store_reserve(const struct oauth_account *account);

/* Keeps it: it is on the disk when this returns true. A failure is logged. */
bool oauth_store_put(const struct oauth_account *account, const struct msg_token_entry *entry);

#endif
