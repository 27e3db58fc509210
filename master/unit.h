/* SPDX-License-Identifier: MIT */
#ifndef MASTER_UNIT_H
#define MASTER_UNIT_H

/*
 * A unit is one service of master.cf that runs: its wanted form, made from the configuration,
 * and its generations, the processes that serve it.
 *
 *     STARTING --ready--> SERVING --newer one ready, or drain--> DRAINING --exit--> gone
 *         \--exit--> gone, and another try after a pause that doubles up to a minute
 *
 * A template that was killed leaves workers in the middle of a session: they are LEFT to finish
 * it, and then nothing of the generation is there any more.
 *
 * A reload puts a new generation beside the old one, which drains once the new one is ready;
 * but a program that must be alone (qmgr and the like) first ends, and its sockets wait.
 */

#include "base/event.h"
#include "base/list.h"
#include "ipc/channel.h"
#include "master/sockets.h"

struct config;
struct master_service;

/* What the configuration wants of a service. */
struct wanted {
	char *name, *type, *program;
	bool is_alone;        /* two at the same time would be wrong */
	bool is_log;          /* the log service: first to start, last to stop */
	bool is_last;         /* starts once the others serve, or have had a second for it */
	int wakeup_seconds;   /* 0: never */
	bool wakeup_on_use;   /* not before somebody has used the service */
	struct socket_set sockets;
	char *path;           /* of the executable */
	struct config *config;
	struct master_service *entry; /* its line of master.cf */
};

enum generation_state { GEN_STARTING, GEN_SERVING, GEN_DRAINING, GEN_LEFT };

struct generation {
	struct list link;
	struct unit *unit;
	enum generation_state state;
	pid_t pid; /* of the template, and of the process group of all its workers */
	struct ipc_channel channel;
	struct event_fd watch;
	struct clock_mono started;
};

struct unit {
	struct list link;
	struct wanted wanted;
	struct list generations;
	bool is_wanted;   /* by the configuration that is being applied */
	bool must_start;  /* another generation, when the old one has gone or the pause is over */
	bool is_retired;  /* no longer in master.cf: goes when its generations have gone */
	int pause_ms;     /* before the next try */
	bool waits;       /* for the others to serve; once in its life */
	bool has_waited;
	int failures;     /* starts in a row that did not get as far as serving */
	char why[400];    /* one of them failed, in its own words; "" when none had any */
	struct event_timer pause_timer;
	struct event_timer wakeup_timer;
};

/* Descriptors that master shares out. */
struct unit_pipes {
	int log_read, log_write;
};

/* Sets what all generations get, and who is told when a state has changed. */
void units_setup(const struct unit_pipes *pipes, void (*on_change)(void));

/* The unit of that name and type, or NULL; a new one. */
struct unit *unit_find(const char *name, const char *type);
struct unit *unit_new(const char *name, const char *type);

/* A new generation of what `wanted` now says. */
void unit_renew(struct unit *unit);

/* Forgets earlier failures: somebody has done something about them. */
void unit_forgive(struct unit *unit);

/* No new generations; the running ones drain. */
void unit_retire(struct unit *unit);

/* Closes all sockets, so that nobody can connect to what is no longer there. */
void units_close_sockets(void);

void units_drain(bool with_log);
void units_kill(void);

/* Whether every unit serves; whether none has a process (the log service aside, or with it). */
bool units_all_serve(void);
bool units_none_run(bool with_log);

/* A unit that died again and again and never served, or NULL. */
const struct unit *unit_failing(void);

/* For each unit, in the order of master.cf. */
struct list *units_all(void);

/* A child of master has ended. */
void units_child_ended(pid_t pid, int status);

#endif
