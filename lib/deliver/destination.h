/* SPDX-License-Identifier: MIT */
#ifndef DELIVER_DESTINATION_H
#define DELIVER_DESTINATION_H

/*
 * The right-hand side of an alias, and the lines of .forward files and :include: lists
 * (aliases(5)): destinations, written as an address list, so commas separate, and quotes
 * keep "|command with arguments" together.
 */

#include "base/buf.h"
#include "mail/addr_list.h"

enum destination_kind {
	DESTINATION_ADDRESS, /* text: internal form, maybe without domain */
	DESTINATION_MAILBOX, /* "\name": the mailbox of a user, past aliases and .forward; text: name */
	DESTINATION_COMMAND, /* text: without the "|" */
	DESTINATION_FILE,    /* text: absolute path, with "/" at the end a Maildir */
	DESTINATION_INCLUDE, /* text: path behind ":include:" */
};

struct destination {
	enum destination_kind kind;
	struct span text; /* borrowed from the reader until the next one */
};

struct destination_reader {
	struct span rest;      /* lines that come */
	struct addr_list list; /* the current line */
	struct buf text;
	bool has_comments;
};

/*
 * Reads `text`, which is borrowed. `has_comments`: it is a file, where a line that begins with "#"
 * says nothing; blanks in front do not count.
 */
void destination_start(struct destination_reader *reader, struct span text, bool has_comments);
void destination_done(struct destination_reader *reader);

/* The next destination; false at the end. Empty ones are passed over. */
bool destination_next(struct destination_reader *reader, struct destination *ret);

#endif
