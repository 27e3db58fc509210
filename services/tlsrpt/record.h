/* SPDX-License-Identifier: MIT */
#ifndef SERVICES_TLSRPT_RECORD_H
#define SERVICES_TLSRPT_RECORD_H

/*
 * The TXT record of _smtp._tls.DOMAIN (RFC 8460 3) among what the dns service answers. What a record says is
 * read by mail/tlsrpt.h. Pure functions over borrowed text, which is a stranger's.
 */

#include "base/buf.h"
#include "ipc/messages.h"

enum lookup_result {
	LOOKUP_WANTED,   /* there is one record that asks for reports */
	LOOKUP_UNWANTED, /* there is none, or more than one, or it is malformed */
	LOOKUP_FAILED,   /* nobody knows: no server answered, or the answer is none to believe */
};

/* "_smtp._tls.DOMAIN", appended. */
void record_name(struct span domain, struct buf *out);

/*
 * The one TXT record among those that counts; it points into them. False, and *ret_record untouched, when
 * there is not exactly one, or tlsrpt_record_parse() refuses it.
 */
MUST_USE bool record_choose(const struct msg_dns_record *records, size_t count,
			    struct span *ret_record);

/* What the answer means. *ret_record, which points into it, is set when that is LOOKUP_WANTED. */
MUST_USE enum lookup_result record_of_answer(const struct msg_dns_answer *answer,
					     struct span *ret_record);

#endif
