/* SPDX-License-Identifier: MIT */
#ifndef PROC_SERVICE_H
#define PROC_SERVICE_H

/*
 * What a daemon is, and how it runs.
 *
 * master exec's one process for each service of master.cf: its template, as root. The template
 * loads its values from the snapshot that master made, prepares what needs root, and then jails
 * itself for good. From there it goes one of two ways:
 *
 *   SERVICE_WORKERS  forks workers, at most maxproc, as connections come; each worker takes one
 *                    connection at a time and talks to it in straight, blocking code. An idle
 *                    worker waits for the next connection, up to max_use of them and max_idle.
 *                    The template itself never touches what a peer sent. A worker that dies of
 *                    a signal ends the generation: master exec's a fresh template.
 *   SERVICE_LOOP     one process with the event loop (base/event.h), for what must see
 *                    everything: qmgr, dns, postlog and the like.
 *
 * A service ends by draining: it stops accepting, its workers finish their session, it exits.
 */

#include "base/clock.h"
#include "base/compiler.h"
#include "base/span.h"
#include "proc/jail.h"

enum service_kind { SERVICE_WORKERS, SERVICE_LOOP };

struct service_program {
	const char *name; /* of the program; log lines have it, and proc/jails.def */
	enum service_kind kind;

	/* As root, before the jail: open tables, keys, files. May be NULL, as all below. */
	void (*prepare)(void);

	/* In the jail, once: LOOP programs set up their watches, WORKERS what all workers share. */
	void (*start)(void);

	/* How long the loop, or a template, may be busy before it is ended; NULL: daemon_timeout. */
	int (*watchdog_s)(void);

	/* WORKERS: in each new worker, before its first connection. */
	void (*worker_start)(void);

	/*
	 * WORKERS: one connection, owned by the function, from its accept to its end. `client` says which
	 * listener it came in by: the name of the client program, SERVICE_INET or SERVICE_PUBLIC.
	 */
	void (*serve)(int fd, const char *client);

	/* WORKERS: clients stay when they have no question; serve() waits with service_wait_turn(). */
	bool clients_stay;

	/* LOOP: a new connection, owned by the function; it must not wait. */
	void (*on_connection)(int fd, const char *client);

	/* LOOP: datagrams wait at `fd`, a socket of type unix-dgram, which stays the runtime's. */
	void (*on_datagrams)(int fd);

	/* LOOP: somebody wrote to a FIFO of the service: letters as of postkick(1), 64 at most. */
	void (*on_letters)(struct span letters);

	/* LOOP: the wake-up time of master.cf; with "?" behind it not before the first use. */
	void (*on_wakeup)(void);

	/*
	 * LOOP: end soon, with event_stop(); without this function the loop ends at once.
	 * `has_successor`: another process of the service follows, which waits for this one; else
	 * master stops, or has died. Called once more when the suite stops while a generation
	 * drains already.
	 */
	void (*on_drain)(bool has_successor);
};

#define SERVICE_INET "@inet"
#define SERVICE_PUBLIC "@public"
#define SERVICE_DGRAM "@dgram"
#define SERVICE_FIFO "@fifo"
#define SERVICE_PASS "@pass" /* the peer passes the connection: see proc/pass.h */

/* What master says of this process; set before `prepare`. */
struct service {
	const char *name;            /* first column of master.cf */
	const char *type;            /* inet, unix, ... */
	const char *program;
	const char *queue_directory; /* as seen before the jail */
	int maxproc;                 /* 0: no limit */
	bool is_chrooted;
	bool is_single_uid;          /* a private instance of a user: no root, no jail by uid */
	int log_fd;                  /* postlog: read end of the log pipe, or -1 */
};

extern struct service service;

/*
 * In the jail: opens the directories of the queue, wherever the queue directory is to be seen from
 * there. A failure is fatal.
 */
struct queue_dirs;
void service_open_queue(struct queue_dirs *dirs);

/*
 * In prepare(): makes the directory `name` in this program's own one, if it is not there yet, for
 * this program alone to read and write. A descriptor for it, which is good in the jail too; what is
 * reached by it is inside. A failure is fatal.
 */
int service_own_directory(const char *name);

/* main() of every daemon. */
int service_main(int argc, char **argv, const struct service_program *program);

/*
 * Connects to another service, over the socket that stands in this program's own directory, so
 * that the receiver knows who calls. A descriptor, or -1 with errno.
 */
MUST_USE int service_connect(const char *name, struct clock_mono deadline);

/*
 * Until when to wait for the first words of another service, from now: half a minute, or ipc_timeout
 * if that is less. master keeps the sockets of a service that cannot start, so a connection to it
 * is made and then nobody answers; whoever waits for us shall not wait as long as for a service
 * that is at work.
 */
struct clock_mono service_first_answer(void);

/* WORKERS: whether this generation ends, so that a session should close after its transaction. */
bool service_is_draining(void);

/*
 * WORKERS: waits until `fd` has input or its peer has gone. False when the deadline passed, or
 * when this generation ends: an idle client is then left alone, it will connect again.
 */
MUST_USE bool service_wait(int fd, struct clock_mono deadline);

/*
 * WORKERS: as service_wait() without a deadline; false also when all maxproc workers have a client, another
 * client waits, and this one, which has said nothing, is to make room.
 */
MUST_USE bool service_wait_turn(int fd);

/*
 * WORKERS: the watchdog. A worker that is busy for daemon_timeout is ended by SIGALRM. Its time begins
 * with a connection and with what service_wait() waited for; a program that waits by itself says
 * when a new request begins, and when it has none.
 */
void service_busy(void);
void service_idle(void);

/*
 * WORKERS: around calls of a library that knows no time limit: in so many seconds this worker ends,
 * without a word; 0 lifts that. The watchdog has a rest meanwhile.
 */
void service_limit(int limit_s);

/* WORKERS: whether more than 80% of maxproc are busy: postconf(5) stress. */
bool service_is_stressed(void);

/*
 * WORKERS, in worker_start of a program whose template stays root: enters this jail for good.
 * JAIL_ROOT_OWN counts even for a program that is never chrooted.
 */
void service_confine(const struct jail *jail);

/* WORKERS: this worker ends after the session (it saw a secret, say); whether that was said. */
void service_end_worker(void);
bool service_worker_must_end(void);

/*
 * The files that this program's tables were loaded from, to be called by `prepare`: when one
 * changes, or what it leads to when it is a link, a new generation is asked for. `path` is copied.
 */
void service_watch_file(const char *path);

/* Kinds of the message service_event between master and a template, and on sockets. */
enum service_event_kind {
	EVENT_READY = 1,  /* template: serving */
	EVENT_FAILED,     /* template: ends before it serves; text says why */
	EVENT_RENEW,      /* template: exec a new generation; text says why */
	EVENT_DRAIN,      /* master: finish and exit; value 1: nobody follows */
	EVENT_WAKEUP,     /* master, postkick */
	EVENT_RELOAD,     /* `postern reload` to master */
	EVENT_STOP,       /* `postern stop` to master */
	EVENT_STATUS,     /* `postern status` to master */
	EVENT_KICK,       /* a command to a service: text as in Postfix's trigger(2) letters */
};

#endif
