/* SPDX-License-Identifier: MIT */
#ifndef ANVIL_BANS_H
#define ANVIL_BANS_H

/* Clients whose logins fail: counting, bans, and telling the fronts. postconf(5) smtpd_auth_ban_limit. */

#include "ipc/channel.h"

/* Opens the file that keeps bans over a restart, as root; then, in the jail, reads it. */
void bans_prepare(void);
void bans_start(void);

/* One more failed login from this address. True when it is banned now. */
bool bans_note_failure(struct span address);

/* A front that wants to know of bans; it is told of all that there are. */
struct ban_watcher {
	struct list link;
	struct ipc_channel *channel;
};

void bans_watch(struct ban_watcher *watcher, struct ipc_channel *channel);
void bans_unwatch(struct ban_watcher *watcher);

/* What "postern ban" asks; the answer goes out over `channel`. False when that fails. */
bool bans_command(struct ipc_channel *channel, const struct msg_ban_command *command);

#endif
