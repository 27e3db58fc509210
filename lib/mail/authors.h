/* SPDX-License-Identifier: MIT */
#ifndef MAIL_AUTHORS_H
#define MAIL_AUTHORS_H

/*
 * Who a message says it is from: the addresses of From: and Sender: for those who decide by them.
 * addr_list.h takes whatever people send and makes the best of it; this reader takes the grammar of
 * RFC 5322 3.4 (with RFC 6854, which allows groups) and nothing that two programs could read in two
 * ways, so that nobody can show one address to the check and another to the reader of the mail.
 */

#include "base/span.h"

struct buf;

/*
 * Appends the internal form of each address of a header value, a LF behind each. Folding may be
 * there. False when the value is not understood, or holds no address at all, or `out` is full; what
 * was appended until then is of no use. Not understood are, beside what breaks the grammar:
 *  - bytes that are no UTF-8, and control characters;
 *  - comments and blanks inside an address, and a comment right behind a bare one;
 *  - source routes, "<>", empty elements of the list, addresses without a domain;
 *  - an encoded word in an address, which programs decode although RFC 2047 5 forbids it.
 */
MUST_USE bool authors_read(struct buf *out, struct span value);

#endif
