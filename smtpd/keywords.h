/* SPDX-License-Identifier: MIT */
#ifndef SMTPD_KEYWORDS_H
#define SMTPD_KEYWORDS_H

/* What EHLO announces, and what smtpd_discard_ehlo_keywords leaves out. */

#include "base/span.h"

enum keyword {
	KEYWORD_PIPELINING = 1 << 0,
	KEYWORD_SIZE = 1 << 1,
	KEYWORD_VRFY = 1 << 2,
	KEYWORD_ETRN = 1 << 3,
	KEYWORD_ENHANCED = 1 << 4,
	KEYWORD_8BITMIME = 1 << 5,
	KEYWORD_DSN = 1 << 6,
	KEYWORD_SMTPUTF8 = 1 << 7,
	KEYWORD_CHUNKING = 1 << 8,
	KEYWORD_AUTH = 1 << 10,
	KEYWORD_STARTTLS = 1 << 11,
	KEYWORD_REQUIRETLS = 1 << 12,
	KEYWORD_SILENT = 1 << 9, /* "silent-discard": do not log it */
};

/* The keywords of a list, any case; unknown words are reported through `ret_unknown`. */
unsigned keywords_parse(struct span list, struct span *ret_unknown);

#endif
