/* SPDX-License-Identifier: MIT */
#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

/*
 * The expander: what becomes of one local recipient. It starts with the address that qmgr gave,
 * looks at aliases, .forward files and mailboxes in turn, and may meet further addresses on
 * the way; each is a `struct target`, and a chain of parents says how it came up.
 *
 *     recipient.c   one target: aliases, user, mailbox, or nobody
 *     expand.c      destinations of an alias, a .forward file, an :include: list
 *     mailbox.c     the mailbox of a user
 *     act.c         file, Maildir and command, through the monitor
 *     forward.c     what is submitted anew
 *     owners.c      whose rights an alias database gives
 *     rights.c      the monitor's rules: who may act
 */

#include "base/htab.h"
#include "base/list.h"
#include "deliver/delivery.h"
#include "deliver/destination.h"
#include "ipc/messages.h"
#include "route/site.h"

enum {
	TARGET_DEPTH_MAX = 100,
	USER_NAME_MAX = 255,
};

enum local_source { FROM_REQUEST, FROM_ALIAS, FROM_INCLUDE, FROM_FORWARD, FROM_LUSER };

/* Everything here lives in the delivery's arena. */
struct target {
	const struct target *parent;
	unsigned depth;
	enum local_source source;

	struct span address;
	struct span local;     /* as it came, without a leading "\" */
	struct span domain;
	struct span name;      /* local, lower case: the key for aliases */
	struct span user;      /* name without extension */
	struct span delimiter; /* one byte, or empty */
	struct span extension; /* as it came */

	struct span alias;  /* while its destinations are delivered: the alias that it was */
	struct span forward_user; /* likewise: whose .forward file is being delivered */
	struct span sender;
	bool has_owner;     /* the sender is the owner of a list: addresses go into a new message */
	struct span orig_address;
	struct span delivered; /* Delivered-To: */
	const struct user *rights; /* of commands and files; NULL: default_privs */
	bool has_unmatched;    /* the extension took no part in finding the destinations */
};

/* What is submitted anew for one recipient, with one sender. */
struct forwarding {
	struct list link;
	const struct target *origin; /* the target whose destinations these are */
	struct span sender;
	bool has_owner;
	struct buf rcpts; /* encoded */
	unsigned count;
};

/* An address of an alias that could not be delivered now; see run_finish(). */
struct postponed {
	struct list link;
	const struct target *target;
	struct deliver_outcome outcome;
};

/* One recipient of the request. */
struct run {
	struct delivery *delivery;
	const struct msg_rcpt *rcpt;
	struct buf *head; /* of the message */
	struct htab seen; /* against duplicates: "mailbox alice" and so on */
	size_t seen_count;
	struct list forwardings;
	struct list postponed;
	bool is_partly_done; /* something was delivered or failed for good */
	bool must_repeat;    /* something else than an address was deferred */
};

struct user {
	struct span name, home, shell;
};

struct local {
	struct maps *aliases, *command_maps, *transport_maps, *fallback_maps;
	struct site site;
	char hostname[256];
};
extern struct local local;

/* ---- recipient.c ---- */

void deliver_recipient(struct run *run, const struct target *target);

/* The target for an address met under `parent`; `address` is copied. */
struct target *target_new(struct run *run, const struct target *parent, enum local_source source,
			  struct span address);

/* An address among destinations: here, or forwarded. Without domain it is completed first. */
void deliver_address(struct run *run, const struct target *parent, enum local_source source,
		     struct span address);

/* Whether this was met before in this run; remembers it. */
bool run_has_seen(struct run *run, const char *what, struct span detail);

/* Reports for a target: to the owner of its list, if it has one, when it failed. */
void report_now(struct run *run, const struct target *target,
		const struct deliver_outcome *outcome);

/* The same, or keeps a deferral of an alias's member for run_finish(). */
void run_report(struct run *run, const struct target *target,
		const struct deliver_outcome *outcome);
void run_report_done(struct run *run, const struct target *target, const char *format, ...)
	PRINTF_LIKE(3, 4);

/* ---- expand.c ---- */

enum alias_result {
	ALIAS_NONE, /* no such alias, or one that has itself as destination: go on with the user */
	ALIAS_DONE,
	ALIAS_LOOP, /* this alias is being expanded: go on when there is such a user, else it is a loop */
};
enum alias_result deliver_alias(struct run *run, const struct target *target);

/* False: no .forward file, or one that sends nothing on. */
bool deliver_forward(struct run *run, const struct target *target, const struct user *user);

/* Delivers to each destination in `text`. How many there were. */
unsigned deliver_destinations(struct run *run, const struct target *parent,
			      enum local_source source, struct span text);

/* ---- mailbox.c ---- */

/* False: neither mailbox_transport nor a user of that name; go on. `user` is NULL without one. */
bool deliver_mailbox(struct run *run, const struct target *target, const struct user *user);
void deliver_unknown(struct run *run, const struct target *target);

/* To the mailbox of the user in target->user, or to nobody: past aliases and .forward. */
void deliver_to_user(struct run *run, const struct target *target);

/*
 * Expands $user and so on in `text`, into the arena. False when it is malformed (that is logged)
 * or a plain $name has no value. `user` may be NULL.
 */
MUST_USE bool expand_for(struct run *run, const struct target *target, const struct user *user,
			 struct span text, const char *allowed, struct span *ret);

/* ---- act.c ---- */

/* 0 and the user; ENOENT; or another errno: it could not be found out. */
int user_find(struct run *run, struct span name, struct user *ret);

/* 0 and the bytes of a file, in the arena; or an errno, for EPERM with *ret_reason. */
int user_read(struct run *run, struct span user, struct span path, size_t limit_bytes,
	      struct span *ret_text, struct user *ret_actor, struct span *ret_reason);

/* With the rights of `user`, NULL: default_privs. `is_mailbox`: it is the user's own. */
void deliver_file(struct run *run, const struct target *target, const struct user *user,
		  struct span path, bool is_mailbox);
void deliver_command(struct run *run, const struct target *target, const struct user *user,
		     struct span command);

/* Whether a list such as allow_mail_to_files has the word. */
bool list_has(const char *list, const char *word);

/* ---- forward.c ---- */

void forward_add(struct run *run, const struct target *target);

/* Submits all; reports for each. Then what was postponed. */
void run_finish(struct run *run);

/* ---- owners.c ---- */

/* As root, in prepare(). */
void owners_prepare(void);

/* Whose rights destinations from this alias table ("type:name") have; NULL: default_privs. */
const struct user *owner_of(struct run *run, struct span table);

/* ---- rights.c ---- */

/* Before root goes. */
void rights_start(void);

#endif
