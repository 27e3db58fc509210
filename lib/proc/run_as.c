/* SPDX-License-Identifier: MIT */
/* Who a command is run as; see run_as.h. Called as root, before anything came from outside. */

#include "proc/run_as.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static bool find_group(struct span name, gid_t *ret, struct buf *error)
{
	char *text = mem_dup(name);
	const struct group *group = getgrnam(text);

	free(text);
	if (group == NULL || group->gr_gid == 0) {
		(void)buf_printf(error, "unknown group: %.*s", SPAN_ARG(name));
		return false;
	}
	*ret = group->gr_gid;
	return true;
}

bool run_as_find(struct span text, const char *mail_owner, bool is_single_uid,
		 struct run_as *ret, struct buf *ret_error)
{
	const struct passwd *user = getpwnam(mail_owner);
	uid_t owner = user != NULL ? user->pw_uid : 0;
	struct span name = text, group = { NULL, 0 };

	(void)span_cut(text, ':', &name, &group);
	(void)snprintf(ret->user, sizeof(ret->user), "%.*s", SPAN_ARG(name));
	user = getpwnam(ret->user);
	if (user == NULL) {
		(void)buf_printf(ret_error, "unknown username: %s", ret->user);
		return false;
	}
	if (user->pw_uid == 0 || (user->pw_uid == owner && !is_single_uid)) {
		(void)buf_printf(ret_error,
				 "user= may be neither root nor the mail system owner: %s", ret->user);
		return false;
	}
	ret->uid = user->pw_uid;
	ret->gid = user->pw_gid;
	return group.n == 0 || find_group(group, &ret->gid, ret_error);
}
