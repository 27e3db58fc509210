/* SPDX-License-Identifier: MIT */
#ifndef IPC_DELIVER_H
#define IPC_DELIVER_H

/*
 * qmgr and its delivery agents. qmgr opens a connection to a transport's service and keeps it; an
 * agent's worker serves one connection until qmgr closes it, so "idle connection" is "idle
 * worker", and qmgr prefers the one that served the same destination last (the smtp client keeps
 * its session for that).
 *
 *     qmgr:   deliver_request, with an open descriptor of the queue file that has a shared flock
 *     agent:  deliver_result, one or several of which the last is_final
 *     qmgr:   deliver_taken: what follows from the result is in the queue
 *
 * An agent keeps the descriptor (and so the lock) until deliver_taken. When qmgr has gone by then,
 * the agent calls the next one and says the result there: as long as the agent lives, a delivery
 * is not made twice, whoever else was killed. The token proves to the next qmgr that the delivery
 * was asked for. A connection that closes without a final result is a crash: qmgr
 * defers those recipients. An agent writes the log line of each recipient; it never sees the
 * queue, and never changes the file.
 *
 * Recipients that appear in no outcome are taken as deferred by a local fault.
 */

enum deliver_flag {
	DELIVER_VERIFY = 1 << 0,   /* probe or sendmail -bv: find out, transfer nothing */
	DELIVER_RECORD = 1 << 1,   /* sendmail -v: deliver, and a report is wanted */
	DELIVER_LAST_TRY = 1 << 3, /* the queue lifetime ends with this try */
	DELIVER_MORE = 1 << 4,     /* more mail for this destination waits or is under way */
};

/* Flags of an outcome's message beyond its action are in mail/dsn.h. */

#endif
