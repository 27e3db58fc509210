/* SPDX-License-Identifier: MIT */
/*
 * Who may act for local's expander: a user of the system, by name; for an :include: file its
 * owner; else the user of default_privs. Never root: default_privs takes root's place. Runs as
 * root in the monitor (deliver/actor.h); a request gives no more than a name.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "deliver/actor.h"
#include "local/local/local.h"

enum { PASSWD_BYTES = 16 * 1024 };

static void fill(struct actor_identity *ret, const struct passwd *entry)
{
	(void)snprintf(ret->name, sizeof(ret->name), "%s", entry->pw_name);
	(void)snprintf(ret->home, sizeof(ret->home), "%s", entry->pw_dir);
	(void)snprintf(ret->shell, sizeof(ret->shell), "%s", entry->pw_shell);
	ret->uid = entry->pw_uid;
	ret->gid = ret->effective_gid = entry->pw_gid;
}

/* By name, or by uid when the name is NULL. 0, ENOENT, or what went wrong. */
static int find(const char *name, uid_t uid, struct actor_identity *ret)
{
	char *space = mem_alloc(PASSWD_BYTES);
	struct passwd entry, *found = NULL;
	int error = name != NULL ? getpwnam_r(name, &entry, space, PASSWD_BYTES, &found)
				 : getpwuid_r(uid, &entry, space, PASSWD_BYTES, &found);

	if (found != NULL)
		fill(ret, found);
	else if (error == 0 || error == ESRCH)
		error = ENOENT;
	free(space);
	return found != NULL ? 0 : error;
}

/* Who acts where nobody else does. A missing default user is a fault of the configuration. */
static int find_default(struct actor_identity *ret)
{
	int error = find(conf->default_privs, 0, ret);

	if (error == 0 && ret->uid != 0)
		return 0;
	log_warn("default_privs: %s: no such user, or root", conf->default_privs);
	return error == 0 ? EPERM : EINVAL;
}

/* Root keeps name and home, and acts as the default user. A group of root is replaced, too. */
static int without_root(struct actor_identity *who)
{
	struct actor_identity other = { 0 };
	int error;

	if (who->uid != 0 && who->gid != 0)
		return 0;
	error = find_default(&other);
	if (who->uid == 0)
		who->uid = other.uid;
	who->gid = who->effective_gid = other.gid;
	return error;
}

static int find_file_owner(struct span path, struct actor_identity *ret)
{
	char *name = mem_dup(path);
	struct stat st;
	int error = stat(name, &st) < 0 ? errno : 0;

	free(name);
	if (error == 0 && st.st_uid != 0 && find(NULL, st.st_uid, ret) == 0)
		return without_root(ret);
	return find_default(ret);
}

/*
 * A mail spool that a group may write to (/var/mail, group mail) is entered with that group. In one
 * that is root's alone the user cannot make the file, so it is made here, empty.
 */
static void enter_spool(struct span path, struct actor_identity *who)
{
	struct span spool = span_of(conf->mail_spool_directory), file;
	struct stat st;
	char *name;
	int dir, fd;

	while (spool.n > 1 && spool.p[spool.n - 1] == '/')
		spool.n--;
	if (spool.n == 0 || !span_starts(path, spool) || path.n <= spool.n + 1 ||
	    path.p[spool.n] != '/')
		return;
	file = span_from(path, spool.n + 1);
	name = mem_dup(spool);
	dir = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(name);
	if (dir >= 0 && fstat(dir, &st) == 0 && (st.st_mode & S_IWGRP) != 0) {
		who->effective_gid = st.st_gid;
	} else if (dir >= 0 && (st.st_mode & S_IWOTH) == 0 && st.st_uid == 0 && geteuid() == 0 &&
		   !span_has(file, '/')) {
		name = mem_dup(file);
		fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0) {
			(void)!fchown(fd, who->uid, who->gid);
			(void)close(fd);
		}
		free(name);
	}
	if (dir >= 0)
		(void)close(dir);
}

static int identify(const struct msg_act_request *request, struct actor_identity *ret)
{
	char name[USER_NAME_MAX + 1];
	int error;

	if (request->user.n > USER_NAME_MAX || span_has(request->user, '\0') ||
	    span_has(request->user, '/'))
		return ENOENT;
	(void)snprintf(name, sizeof(name), "%.*s", SPAN_ARG(request->user));
	if (request->user.n == 0)
		return request->verb == ACTOR_READ ? find_file_owner(request->target, ret)
						   : find_default(ret);
	error = find(name, 0, ret);
	if (error == 0 && request->verb != ACTOR_LOOKUP)
		error = without_root(ret);
	if (error == 0 && request->verb == ACTOR_MBOX && request->is_mailbox)
		enter_spool(request->target, ret);
	return error;
}

void rights_start(void)
{
	static struct actor_rules rules;

	rules = (struct actor_rules){
		.has_biff = conf->biff,
		.verbs = 1U << ACTOR_LOOKUP | 1U << ACTOR_READ | 1U << ACTOR_MAILDIR | 1U << ACTOR_MBOX |
			 1U << ACTOR_COMMAND,
		.file_limit_bytes = conf->mailbox_size_limit,
		.must_be_owned = conf->strict_mailbox_ownership,
		.time_limit_s = conf->command_time_limit,
		.shell = conf->local_command_shell,
		.hostname = local.hostname,
		.identify = identify,
	};
	if (!mbox_parse_locks(conf->mailbox_delivery_lock, &rules.locks))
		fatal("bad value of mailbox_delivery_lock: %s", conf->mailbox_delivery_lock);
	actor_start(&rules);
}
