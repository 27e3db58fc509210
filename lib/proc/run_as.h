/* SPDX-License-Identifier: MIT */
#ifndef PROC_RUN_AS_H
#define PROC_RUN_AS_H

/* "user=name[:group]" in master.cf: as whom pipe(8) and spawn(8) run a command. */

#include <sys/types.h>

#include "base/buf.h"

struct run_as {
	char user[256];
	uid_t uid;
	gid_t gid;
};

/*
 * Looks up "name" or "name:group". Root and `mail_owner` are refused, the latter not in a private
 * instance of one user. False with the reason in *ret_error.
 */
MUST_USE bool run_as_find(struct span text, const char *mail_owner, bool is_single_uid,
			  struct run_as *ret, struct buf *ret_error);

#endif
