/* SPDX-License-Identifier: MIT */
#ifndef PROC_JAIL_H
#define PROC_JAIL_H

/*
 * What a daemon may do once it has started. One row of jails.def a program, entered in one
 * place (jail_enter), tested by tests/probe. In a private instance run by an ordinary user there is
 * one uid and no chroot; the system call filter holds there too.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* DESIGN: queue (mail_owner), net (network_owner), auth, secret; root for the few. */
enum jail_uid { JAIL_UID_QUEUE, JAIL_UID_NET, JAIL_UID_AUTH, JAIL_UID_SECRET, JAIL_UID_ROOT };
enum { JAIL_UIDS = 4 };

enum jail_root {
	JAIL_ROOT_OWN,   /* the directory with its client sockets: no file at all */
	JAIL_ROOT_QUEUE, /* the queue directory */
	JAIL_ROOT_NONE,  /* not chrooted, whatever master.cf says */
};

/* System calls beyond reading, writing and waiting on what is open already. */
enum jail_calls {
	JAIL_UNIX = 1 << 0,  /* socket(AF_UNIX), connect: to the sockets in its directory */
	JAIL_INET = 1 << 1,  /* socket(AF_INET, AF_INET6), bind, connect */
	JAIL_FILES = 1 << 2, /* open, rename, link, unlink, fsync, lock ... */
	JAIL_FORK = 1 << 3,  /* templates of workers; the workers lose it */
	JAIL_READ = 1 << 6,  /* open, for reading alone */
	JAIL_GROUPS = 1 << 5, /* no call: it keeps the groups that its user is a member of */
	JAIL_ANY = 1 << 4,   /* no filter: runs commands of users, which must not inherit one */
};

struct jail {
	enum jail_uid uid;
	enum jail_root root;
	unsigned calls; /* enum jail_calls */
};

/* The row of a program, or NULL. */
const struct jail *jail_find(const char *program);

/* The same by number, for those who want all: false behind the last. */
bool jail_row(size_t index, const char **ret_program, const struct jail **ret_jail);

/* Numbers for this installation, from master. */
struct jail_place {
	bool is_single_uid;
	bool may_chroot;          /* the chroot column of master.cf */
	const char *own_root;     /* for JAIL_ROOT_OWN */
	const char *queue_root;
	struct {
		uid_t uid;
		gid_t gid;
	} ids[JAIL_UIDS];
};

/* Enters it for good. Any failure is fatal. */
void jail_enter(const struct jail *jail, const struct jail_place *place);

/* In a worker, once: takes away fork, and signals to others, which its template may need. */
void jail_worker(const struct jail *jail);

#endif
