/* SPDX-License-Identifier: MIT */
#ifndef DELIVER_ACT_H
#define DELIVER_ACT_H

/*
 * What a process that has become a user does with a message: mailbox, Maildir, command. These
 * functions know nothing of queues and recipients; they say how it went as a struct act.
 */

#include <sys/types.h>

#include "base/buf.h"
#include "deliver/message.h"
#include "mail/dsn.h"

struct act {
	char status[DSN_STATUS_SIZE]; /* "2.0.0" when it was done and is durable */
	struct buf reason; /* one line */
	struct buf diagnostic; /* what a command said; may be empty */
};

void act_init(struct act *act);
void act_done(struct act *act);
bool act_is_good(const struct act *act);

/* Sets status and reason; behind the reason comes ": " and the text of `error` unless it is 0. */
void act_fail(struct act *act, const char *status, int error, const char *format, ...)
	PRINTF_LIKE(4, 5);

/* The status of a failed system call on a mailbox: 5.2.2 over the limit, else 4.x. */
const char *act_status_of(int error);

/* Sets what message_copy() says when it is not MESSAGE_OK; `what` is "mailbox", "command". */
void act_copy_failed(struct act *act, enum message_status status, const char *what);

/* ---- UNIX mailbox files ---- */

enum mbox_lock { MBOX_FCNTL = 1 << 0, MBOX_FLOCK = 1 << 1, MBOX_DOTLOCK = 1 << 2 };

/* mailbox_delivery_lock and its like: false for an unknown word. */
MUST_USE bool mbox_parse_locks(const char *words, unsigned *ret_locks);

struct mbox_target {
	int dir_fd; /* the path is relative to it; AT_FDCWD for an absolute one */
	const char *path;
	bool must_be_owned; /* by this process's uid (strict_mailbox_ownership) */
	bool may_be_device; /* /dev/null as a file in an alias */
	unsigned locks; /* enum mbox_lock */
	int lock_attempts, lock_delay_s, stale_lock_s;
	gid_t new_group; /* of a file that is made; (gid_t)-1: as it comes */
	const char *biff_user; /* of whose new mail comsat(8) hears; NULL: it hears nothing */
};

/*
 * Appends the message to the file, which is made when it is missing (mode 600), and flushes. A
 * symbolic or hard link, and anything that is no regular file, is refused. When it fails the
 * file is cut back to its length before.
 */
void mbox_append(const struct mbox_target *target, int queue_fd,
		 const struct message_format *format, struct act *ret);

/* ---- Maildir ---- */

/*
 * Puts the message into new/ of the Maildir `path` below `dir_fd`, durable: file and directory
 * are flushed. Missing directories are made (mode 700). No symbolic link is followed at and below
 * the Maildir.
 */
void maildir_add(int dir_fd, const char *path, const char *hostname, int queue_fd,
		 const struct message_format *format, struct act *ret);

/* ---- commands ---- */

struct command {
	const char *text; /* for /bin/sh when it needs one; NULL: argv counts */
	const char *shell; /* local_command_shell: "program -arg", or "" */
	const char *const *argv;
	char *const *environment;
	const char *title; /* in reasons: the command as the administrator wrote it */
	int time_limit_s; /* 0: none */
};

/*
 * Runs the command in a process group of its own with the message as standard input, and waits.
 * Exit codes as in sysexits.h; a status code at the start of its output counts more than a
 * failing exit code (local(8), pipe(8)). At the time limit the whole group is killed.
 */
void command_run(const struct command *command, int queue_fd, const struct message_format *format,
		 struct act *ret);

/*
 * The status and text for an exit code above 0; false for one that sysexits.h does not have.
 */
MUST_USE bool command_exit_text(int code, const char **ret_status, const char **ret_text);

/* Whether `text` needs a shell: it has shell syntax in it. */
bool command_needs_shell(const char *text);

#endif
