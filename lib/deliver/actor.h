/* SPDX-License-Identifier: MIT */
#ifndef DELIVER_ACTOR_H
#define DELIVER_ACTOR_H

/*
 * Acting as the user who gets the mail. local, virtual and pipe have to; everything else in them
 * needs no rights. So a worker, which starts as root, splits in two:
 *
 *     worker    gives root up for good (service_confine()), reads tables, talks to qmgr and
 *               cleanup, decides, logs, and asks
 *     monitor   keeps root and does one thing: it takes a request from its worker, decides by
 *               the program's rules who acts, and forks
 *     actor     becomes that user for good, does what was asked, answers, and ends
 *
 * With lasting actors (virtual) the monitor's answer is a socket to the actor. The worker sends it
 * this request and those that follow for the same uid and gid; the actor asks the rules again about
 * each. It ends when the worker has closed the socket.
 *
 * The monitor reads nothing but requests and answers, and those strictly. It takes no uid from
 * a request unless the program's rules say within which bounds, and nobody acts as root.
 */

#include <sys/types.h>

#include "deliver/act.h"
#include "ipc/messages.h"

enum actor_verb {
	ACTOR_LOOKUP = 1, /* who is the user: home and shell; error ENOENT: there is none */
	ACTOR_READ,       /* bytes of a file of the user, see actor_work.c for what is refused */
	ACTOR_MAILDIR,
	ACTOR_MBOX,
	ACTOR_COMMAND,
};

struct actor_identity {
	char name[256];
	uid_t uid;
	gid_t gid;           /* of the user; also the only supplementary group */
	gid_t effective_gid; /* of the process: that of the mail spool, or gid */
	char home[4096];
	char shell[1024];
	const char *beneath; /* targets are relative to this directory, and stay in it; or NULL */
	const char *root;    /* chroot to here first; or NULL */
};

struct actor_rules {
	unsigned verbs; /* mask of 1 << enum actor_verb: anything else is refused */
	unsigned locks; /* enum mbox_lock */
	int64_t file_limit_bytes; /* of any file that is written; 0: none */
	bool must_be_owned; /* mailboxes: strict_mailbox_ownership */
	bool has_biff; /* comsat(8) hears of new mail in mailboxes */
	int time_limit_s; /* of commands */
	const char *shell; /* local_command_shell */
	const char *hostname; /* for Maildir names */
	bool are_lasting; /* actors serve the next request for the same uid and gid as well */

	/*
	 * In the monitor, as root, and in a lasting actor, as the user: who acts for this request. Sets
	 * `ret` and returns 0, or an errno: ENOENT when there is no such user, EPERM when it is not
	 * allowed.
	 */
	int (*identify)(const struct msg_act_request *request, struct actor_identity *ret);
};

/*
 * In worker_start(), as root: starts the monitor. `rules` are borrowed for good. The caller gives up
 * root next. The monitor ends when this process does.
 */
void actor_start(const struct actor_rules *rules);

/*
 * Asks and waits. `queue_fd` is the message to deliver, or -1. Spans of the answer are borrowed until
 * the next call. Always sets an answer: when the monitor has gone, or did not answer in
 * time, status is 4.3.0 and error EIO, and the worker ends after this connection.
 */
void actor_ask(const struct msg_act_request *request, int queue_fd, struct msg_act_answer *ret);

/* Why a delivery failed whose process gave no answer. */
#define ACTOR_GONE "the delivering process died or took too long"

/* Between the parts: how long a packet may take to leave, and a delivery beside its command's limit
 * (locks, slow disks). */
enum { ACTOR_SEND_MS = 60 * 1000, ACTOR_SPARE_MS = 600 * 1000 };

/* The monitor, for actor_ask.c: serves the worker at the other end of `fd` until that has gone. */
NORETURN void actor_monitor(int fd, const struct actor_rules *rules);

/* In the actor, for actor.c: does it. The answer's spans point into `act` and `data`. */
struct actor_work {
	const struct actor_rules *rules;
	const struct actor_identity *identity;
	int dir_fd; /* what targets are relative to, or AT_FDCWD */
	struct act act;
	struct buf data;
};
void actor_do(struct actor_work *work, const struct msg_act_request *request, int queue_fd,
	      struct msg_act_answer *ret);

#endif
