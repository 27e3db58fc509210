/* SPDX-License-Identifier: MIT */
#ifndef SERVICES_TLSRPT_TLSRPT_H
#define SERVICES_TLSRPT_TLSRPT_H

/*
 * What the files of tlsrpt share. How a TLS session gets into a report:
 *
 *     smtp/report.c   how it went, as one tlsrpt_note, which nobody waits for
 *     tlsrpt.c        the program: connections, commands
 *     collect.c       what is known of each domain now: is a report wanted, and the sums
 *     lookup.c        the TXT record of _smtp._tls.DOMAIN, without waiting
 *     record.c        which record of the answer that is
 *     sums.c          sums of one domain and period; their form in a file
 *     store.c         the files
 *     forward.c       with a collector of the site's own: datagrams for it, and no sums
 *     outbox.c        periods that have ended: when each is reported, by which child process
 *     deliver.c       in the child: to whom, by mail and HTTPS
 *     compose.c       the report itself: JSON, gzip
 *
 * The event loop of the program never waits; what has to, a DNS question, cleanup or policyfetch, is
 * done by a child that handles one report and ends. A period is a file named DOMAIN!BEGIN, first with
 * the end 0, then with its end, then gone. Periods end with the day (UTC), or when the
 * administrator says so.
 */

#include "ipc/channel.h"
#include "ipc/tlsrpt.h"
#include "services/tlsrpt/record.h"
#include "services/tlsrpt/sums.h"

/* ---- collect.c ---- */

/* In the jail: takes up what was collected before. */
void collect_start(void);

/* A session. Anything that is not well-formed is false: the client is broken. */
bool collect_note(const struct msg_tlsrpt_note *note);

/* Adds a line for each domain (or for `only`, unless it is empty) that has sums. */
void collect_list(struct span only, struct buf *out);

/* Ends the period of all domains, or of `only`. */
void collect_end_periods(struct span only);

/* Writes what is not in files yet. */
void collect_save(void);

/* From lookup.c: what became of a lookup. `record` is empty unless it is LOOKUP_WANTED. */
void collect_looked_up(struct span domain, enum lookup_result result, struct span record);

/* ---- lookup.c ---- */

/* Asks whether the domain wants reports; collect_looked_up() hears it later. False: not now. */
bool lookup_begin(struct span domain);

/* ---- store.c ---- */

enum { STORE_NAME_MAX = 300, STORE_BYTES_MAX = 4 * 1024 * 1024 };

/* In prepare(): the directory. */
void store_prepare(void);

/* The name of a period's file. */
void store_name(struct span domain, int64_t begin_s, char ret_name[STORE_NAME_MAX]);

/* Replaces the file as a whole. False: it is in the log why not. */
bool store_write(const struct msg_tlsrpt_period *period, const struct sums *sums);

/*
 * Reads one; *wire holds the text of *ret_period. False: it is not there or damaged, and it was logged.
 */
MUST_USE bool store_read(const char *name, struct buf *wire, struct msg_tlsrpt_period *ret_period,
			 struct sums *ret);
void store_remove(const char *name);

/*
 * Takes a file for this process until it ends: of two children that report the same, of this generation of
 * the service and the one before, one does it.
 */
enum store_claim { STORE_MINE, STORE_BUSY, STORE_GONE };
MUST_USE enum store_claim store_claim(const char *name);

/* The names of all, each with a NUL behind. */
void store_list(struct buf *ret_names);

/* ---- outbox.c ---- */

/* A period that has ended and is in its file. `is_urgent`: not in the course of the next hours. */
void outbox_add(const struct msg_tlsrpt_period *period, bool is_urgent);

/* Everything that waits (of `only`, unless it is empty) is due now. */
void outbox_hurry(struct span only);
void outbox_list(struct span only, struct buf *out);

/* The administrator who waits for what is due to be done; ended by outbox_unwatch(). */
void outbox_watch(void (*on_line)(struct span line, bool is_last, void *context), void *context);
void outbox_unwatch(void *context);

/* ---- deliver.c ---- */

enum deliver_result { DELIVER_DONE, DELIVER_LATER };

/* In a child: reports that file, which is gone when that is done. Lines about it are appended to *out. */
enum deliver_result deliver_file(const char *name, struct buf *out);

/* ---- compose.c ---- */

struct report {
	struct msg_tlsrpt_period period;
	const struct sums *sums;
	struct span submitter; /* the domain of tlsrpt_sender */
	struct buf id;
};

/* The report as JSON (RFC 8460 4.4), and compressed. False: too large, or no memory. */
MUST_USE bool compose_report(const struct report *report, struct buf *ret_gzip);

/* "SUBMITTER!DOMAIN!BEGIN!END.json.gz" (RFC 8460 5.1) */
void compose_file_name(const struct report *report, struct buf *out);

/* ---- forward.c ---- */

/* Whether smtp_tlsrpt_socket_name is set: then nothing is collected here. */
bool forward_is_wanted(void);

/* One session as a datagram of libtlsrpt. What does not go through at once is forgotten. */
void forward_note(const struct msg_tlsrpt_note *note, struct span record);

#endif
