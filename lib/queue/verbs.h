/* SPDX-License-Identifier: MIT */
#ifndef QUEUE_VERBS_H
#define QUEUE_VERBS_H

/* What qmgr can be asked with queue_command. */
enum queue_verb {
	QUEUE_FLUSH_ALL = 1, /* postqueue -f: all deferred mail now, dead destinations forgotten */
	QUEUE_FLUSH_ONE,     /* postqueue -i ID */
	QUEUE_SCAN,          /* look into incoming and deferred again */
	QUEUE_LET_GO,        /* postsuper: stop with ID, answer when no agent has it */
	QUEUE_LET_GO_IDLE,   /* postsuper: the same for those of `ids` that are not scheduled; the
				answer's text has the others */
	QUEUE_TAKE,          /* postsuper has done: ID or `ids` may be scheduled again */
	QUEUE_LIST_ACTIVE,   /* showq: the ids that are scheduled, a line each */
	QUEUE_FLUSH_SITE,    /* flush(8): the mail for one site: ETRN, postqueue -s */
	QUEUE_SITE_ADD,      /* flush(8): message ID is deferred for a site */
	QUEUE_SITE_REFRESH,  /* flush(8): all sites that have mail */
};

enum queue_result { QUEUE_DONE, QUEUE_BUSY, QUEUE_UNKNOWN };

#endif
