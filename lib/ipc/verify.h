/* SPDX-License-Identifier: MIT */
#ifndef IPC_VERIFY_H
#define IPC_VERIFY_H

/*
 * Address probes (verify(8)): whether mail for an address would be accepted where it goes.
 *
 *     smtpd:   verify_query(address, wait_ms)
 *     verify:  verify_answer(state, text), at once when it is known, else when the probe is back
 *              or the time is over
 *     qmgr:    verify_update(address, ...) for the outcome of a probe, answered by status
 */

enum verify_state {
	VERIFY_OK,      /* deliverable */
	VERIFY_DEFER,   /* the probe failed for now */
	VERIFY_BOUNCE,  /* undeliverable */
	VERIFY_PENDING, /* the probe is under way */
};

#endif
