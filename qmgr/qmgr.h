/* SPDX-License-Identifier: MIT */
#ifndef QMGR_QMGR_H
#define QMGR_QMGR_H

/*
 * The queue manager's own structures, one section for each file of this folder.
 *
 *   message     a queue file that is active; made by scan.c, read by message.c
 *   portion     some recipients of a message: at most so many are in memory at once
 *   recipient   its destination comes from resolve.c
 *   entry       recipients of one portion that go in one delivery to one destination
 *   transport   a delivery service, with connections to its agents
 *   destination a transport's nexthop, with its concurrency window
 *   job         a message's share of a transport; the scheduler picks among jobs
 *   peer        a job's share of a destination: a list of entries
 *
 * A message ends when all its entries have their results (results.c, outcomes.c) and finish.c
 * has removed, returned or deferred the file.
 */

#include "base/event.h"
#include "base/heap.h"
#include "base/htab.h"
#include "base/list.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "ipc/channel.h"
#include "mail/dsn.h"
#include "queue/dirs.h"
#include "table/lookup.h"

struct entry;
struct job;
struct transport;
struct destination;

extern struct queue_dirs queue_dirs;

/* ---- feedback.c: what a delivery does to a concurrency window ---- */

/* "1", "0.5/concurrency", "1/sqrt_concurrency": destination_concurrency_..._feedback. */
struct feedback {
	double factor;
	enum { FEEDBACK_CONSTANT, FEEDBACK_LINEAR, FEEDBACK_SQRT } form;
};

/* False when it is malformed. */
MUST_USE bool feedback_parse(struct span text, struct feedback *ret);
double feedback_value(const struct feedback *feedback, int window);

/* ---- ask.c: questions to other services, answered later ---- */

struct ask;
/* `answer` has the packet, to be read with IPC_GET; NULL: no answer came. The ask is then gone. */
typedef void ask_done_fn(struct ask *ask, struct ipc_channel *answer);

/* Embedded in what waits for the answer. */
struct ask {
	struct list link;
	struct buf packet;
	ask_done_fn *on_done;
};

/* Sends the message to the service, on a connection of its own as long as it waits. */
void ask_send(struct ask *ask, const char *service_name, const struct ipc_desc *desc,
	      const void *message, ask_done_fn *on_done);

/* ---- message.c ---- */

struct rcpt {
	struct span address; /* as in the file; these three live in the portion's arena */
	struct span orig_address, orcpt;
	struct span target; /* what the agent delivers to: as resolved */
	struct transport *transport;
	struct transport *counted_in; /* whose count `rcpts` has it, or NULL */
	struct span nexthop;
	uint32_t offset, notify;
	bool is_settled;     /* nothing more is expected for it in this run */
	bool has_outcome;
	bool is_deferred;    /* one of its outcomes says: try again */
	bool is_bouncing;    /* marked when the bounce log has it */
};

struct portion {
	struct list link;
	struct message *message;
	struct arena arena;
	struct rcpt *rcpts;
	size_t count;
	size_t resolved; /* how many have their destination */
	size_t open;     /* how many are not settled */
};

enum message_state {
	MESSAGE_RESOLVING, /* recipients get their destinations */
	MESSAGE_DELIVERING,
	MESSAGE_FINISHING, /* all recipients are settled: notifications, then the file */
};

struct message {
	char id[QUEUE_ID_MAX];
	enum queue_dir dir;
	enum message_state state;
	struct queue_header header;
	struct queue_notes notes;
	struct buf envelope_record;   /* as in the file; `envelope` points into it */
	struct msg_envelope envelope;
	uint64_t size;
	struct clock_wall activated;
	int fd; /* read-only, with a shared lock, until the first delivery takes it; or -1 */

	size_t next_at;    /* where the next portion begins in the envelope section, or 0 */
	bool has_more;     /* recipients that are not loaded */
	uint32_t unread;   /* about how many */
	struct clock_mono read_at; /* when recipients were last loaded */
	struct event_timer refill_timer;
	struct list portions;
	struct list jobs;
	size_t open_rcpts; /* of all portions */
	size_t busy;       /* how many entries agents have */
	bool is_probe_good; /* a probe: one outcome was good */
	bool is_counted_probe;  /* in probes_in_memory */
	size_t appends;    /* questions to bounce under way */

	bool has_log[QUEUE_DIR_COUNT]; /* QUEUE_BOUNCE, _DEFER, _TRACE: something is in it */
	bool must_defer;      /* something is left to do */
	bool is_leaving;      /* postsuper wants it */
	bool is_redirected;   /* the one recipient that replaces all has its route */
	uint32_t *marks;      /* offsets of recipients that are done, not yet in the file */
	size_t mark_count, mark_room;

	struct list resolve_link; /* in the list of those that wait for their turn */
	struct lookup lookup;     /* tables asked by proxy */
	struct ask table_ask;
	struct ask finish_ask;
	bool is_asking_table;
};

extern struct htab messages; /* by id */
extern size_t rcpts_in_memory;
extern size_t probes_in_memory; /* messages that are address probes */

enum activate { ACTIVATE_OK, ACTIVATE_BUSY, ACTIVATE_GONE, ACTIVATE_FULL };

/*
 * Makes a message active: opens, checks and locks the file, loads recipients. `is_new`: cleanup has just
 * said that it wrote it, so that nobody can have tried it before.
 */
enum activate message_activate(const char *id, enum queue_dir dir, bool is_new);
bool messages_are_full(void);

/* Loads the next portion when it is time to; ends the message when nothing is left. */
void message_progress(struct message *message);
void message_free(struct message *message);

/* The descriptor that was kept at activation, now the caller's; -1 when there is none. */
int message_take_fd(struct message *message);

/* It counts as one of the transport's recipients in memory from now, and no longer of another's. */
void rcpt_count_in(struct rcpt *rcpt, struct transport *transport);

/* A recipient needs nothing more in this run. */
void rcpt_settle(struct portion *portion, struct rcpt *rcpt);

/* Remembers that a recipient is done, and writes what is remembered into the file. */
void message_mark(struct message *message, uint32_t offset);
void message_write_marks(struct message *message);

/* ---- resolve.c: where recipients go ---- */

void resolve_prepare(void);
void resolve_start(struct message *message);

/* ---- transport.c: services and the connections to their agents ---- */

struct connection {
	struct list link; /* in transport->idle, or alone */
	struct transport *transport;
	struct ipc_channel channel;
	struct event_fd watch;
	struct event_timer idle_timer;
	struct entry *entry;  /* what its agent has; NULL: idle */
	uint64_t last_hash;   /* of the destination it served before */
	bool is_used;         /* it served one: its agent may have ended since */
};

struct transport {
	char *name;
	struct htab destinations;
	struct heap ready;   /* destinations that may send, by the order of their first job */
	struct list jobs;    /* in scheduling order */
	size_t job_count;
	uint64_t picks;
	struct list idle;    /* connections, the one used last first */
	size_t connection_count, busy;
	size_t process_limit; /* of the service; 0: none */
	struct list run_link; /* in the list of those to be scheduled */
	struct event_timer retry_timer; /* dead, or no connection to be had for a moment */
	struct event_timer rate_timer;
	bool is_dead;
	char dead_status[DSN_STATUS_SIZE];
	char *dead_reason;
	bool is_deferred;    /* in defer_transports */
	size_t rcpts;        /* of it, in memory and not settled */
	int pool_limit, extra_limit, refill_limit; /* for those, see message.c */
	seconds refill_delay;
	int rcpt_limit, window_limit, initial_window, cohort_limit;
	int slot_cost, slot_loan, slot_discount, min_slots;
	seconds rate_delay, destination_rate_delay;
	struct feedback positive, negative;
	struct clock_mono candidates_looked; /* when all jobs were last gone through */
};

struct transport *transport_get(struct span name);

/*
 * A connection for a delivery: an idle one when there is, best one that served the destination
 * before; else a new one. NULL when there is none now; the transport then tries again by itself.
 */
struct connection *transport_connect(struct transport *transport, uint64_t destination_hash);
void connection_close(struct connection *connection);

/* Its delivery has ended: it waits for the next one. */
void connection_release(struct connection *connection);

/* Whether a delivery may be started now. */
bool transport_may_send(const struct transport *transport);

/* A delivery has ended: transport_rate_delay counts from now. */
void transport_on_end(struct transport *transport);

/* How many deliveries are under way, over all transports. */
size_t transports_busy(void);

/* Stops the transport for transport_retry_time and defers what waits for it. */
void transport_set_dead(struct transport *transport, const char *status, const char *reason);
void transports_revive(void);

/* ---- destination.c: concurrency windows ---- */

enum destination_state {
	DESTINATION_READY,
	DESTINATION_DEAD,   /* in trouble: nothing is tried before the timer ends */
	DESTINATION_PAUSED, /* destination_rate_delay */
};

struct destination {
	struct transport *transport;
	char *name;    /* its key in transport->destinations */
	char *nexthop; /* what agents are told */
	enum destination_state state;
	struct heap peers;        /* with entries to send, by the order of their jobs */
	struct heap_node ready;   /* in transport->ready */
	struct event_timer timer; /* until it leaves its state */
	uint64_t picked;          /* when it was last picked, in transport->picks */
	int window;
	double successes, failures, cohorts;
	size_t busy, waiting; /* entries */
	struct clock_mono clog_warned; /* when the log had the last warning that it has so many */
	char status[DSN_STATUS_SIZE];
	char *reason;
};

/*
 * The destination; `key` tells those of a transport apart, the nexthop or more specific. It is
 * freed by destination_update() when it has no entries and nothing to remember.
 */
struct destination *destination_get(struct transport *transport, struct span key,
				    struct span nexthop);

/* A delivery ended well, or with the whole destination in trouble. */
void destination_on_success(struct destination *destination);
void destination_on_trouble(struct destination *destination, const char *status,
			    const char *reason);

/* Forgets that any of them is dead: the queue is flushed. */
void destinations_revive(struct transport *transport);

/* Entries were added: warns when the active queue is mostly theirs (qmgr_clog_warn_time). */
void destination_look_for_clog(struct destination *destination);

/* Its entries have changed: whether it may send, and in which place, can be another now. */
void destination_update(struct destination *destination);

/* ---- scheduler.c: what goes next ---- */

struct entry {
	struct list link;   /* in peer->entries while it waits */
	struct peer *peer;  /* NULL while an agent has it */
	struct job *job;
	struct destination *destination;
	struct portion *portion;
	struct rcpt **rcpts;
	size_t count;
	uint64_t token;
	struct connection *connection; /* while an agent has it */
	char hop_status[DSN_STATUS_SIZE];
	char *hop_reason;
};

/* Waiting entries of one job for one destination; gone when there are none. */
struct peer {
	struct job *job;
	struct destination *destination;
	struct list link;      /* in job->peers */
	struct heap_node node; /* in destination->peers */
	struct list entries;
};

struct job {
	struct message *message;
	struct transport *transport;
	struct list link;         /* in transport->jobs */
	struct list message_link; /* in message->jobs */
	struct list peers;
	uint64_t order;           /* as in transport->jobs */
	struct clock_mono since;
	size_t waiting, busy, selected; /* entries */
	size_t slots_used;
};

/* Cuts the resolved recipients of a portion into entries and puts them where they wait. */
void schedule_portion(struct portion *portion);

/* The next entry to deliver, which is busy from now, or NULL. */
struct entry *schedule_pick(struct transport *transport);

/* Puts it back; and: it is over, its recipients are settled. */
void schedule_unpick(struct entry *entry);
void schedule_end(struct entry *entry);

/* Waiting entries of a destination go to the retry service, which defers and logs them. */
void schedule_suspend(struct destination *destination, const char *status, const char *reason);

/* Takes out all waiting entries of a message, and its jobs when nothing is busy. */
void schedule_drop(struct message *message);

/* Sees to it that deliveries start, once the events at hand are done. */
void schedule_soon(struct transport *transport);

/* ---- deliver.c: requests to agents ---- */

void deliver_prepare_tokens(struct span secret);

/* Whether `token` was made for this message, by this or an earlier qmgr. */
bool deliver_token_is_good(const char *id, uint64_t token);

/* Gives an entry to an agent. False when it is waiting again, or was deferred. */
bool deliver_start(struct entry *entry);

/* ---- results.c ---- */

/* A result over the connection of a delivery of this process. */
void results_take(struct connection *connection, const struct msg_deliver_result *result);

/*
 * A result for a delivery that an earlier qmgr had started, whose agent found that one gone. True
 * when it is written down; false when it cannot be, or the delivery was not ours.
 */
MUST_USE bool results_take_late(const struct msg_deliver_result *result);

/* An agent has gone without a result. */
void results_on_crash(struct entry *entry);

/* ---- outcomes.c: logs of bounce, defer, trace ---- */

/*
 * Collects what is to be added to the log `log` of the message; outcomes_send() then gives it
 * to bounce. When a failure is durable its recipient is marked.
 */
void outcomes_add(struct message *message, enum queue_dir log, const struct msg_outcome *outcome);
void outcomes_send(struct message *message);

/* Takes one recipient as delivered by qmgr's own decision, with its line in the log. */
void outcomes_discard(struct portion *portion, struct rcpt *rcpt, const char *reason);

/* Defers one recipient by qmgr's own decision, with its line in the log, and settles it. */
void outcomes_defer(struct portion *portion, struct rcpt *rcpt, const char *status,
		    const char *reason);

/* ---- flush.c: what flush(8) is told ---- */

void flush_prepare(void);

/* The message is deferred for a recipient at `address`. */
void flush_add(const struct message *message, struct span address);

/* ---- finish.c: notifications, then the end of the file or its next try ---- */

/* Whether the file can go at once: nobody is to be told, nothing is left. */
bool finish_is_simple(const struct message *message);
void finish_message(struct message *message);

/* ---- scan.c: finding messages ---- */

void scan_start(void);

/* A new message in incoming. */
void scan_hint(const char *id);

/* Goes through a directory, in portions; deferred mail whose time has come, or all of it. */
void scan_incoming(void);
void scan_deferred(bool is_all);

/* Goes through incoming once more in a moment, since a file there was locked. */
void scan_incoming_later(void);

/* One deferred message now. False when it is not there. */
bool scan_one(const char *id);

/* There is room for more messages. */
void scan_resume(void);

/* ---- ending.c: the end of qmgr itself ---- */

/*
 * Ends the process: at once when another qmgr follows, which is told the results of what is under
 * way; else when they are there, and until then no delivery is started.
 */
void ending_start(bool has_successor);
bool is_ending(void);

/* A delivery has ended: perhaps it was the last one. */
void ending_look(void);

/*
 * Waits until no other qmgr works on this queue: that of a master that was killed may still wait
 * for results. Fatal when the lock cannot be had at all.
 */
void ending_wait_for_other(void);

/* ---- commands.c ---- */

void commands_on_connection(int fd, const char *client);

/* postkick(1): the letters of Postfix's queue manager; others mean nothing. */
void commands_on_letters(struct span letters);

/* Whether postsuper has it: it may not be made active. */
bool commands_has_taken(const char *id);

/* A message is no longer active; postsuper may wait for that. */
void commands_on_left(const char *id);

/* ---- probe.c: messages of verify(8) ---- */

bool probe_is(const struct message *message);

/* Tells verify what became of the recipient; the message ends when it has heard it. */
void probe_report(struct message *message, const struct msg_outcome *outcome);

#endif
